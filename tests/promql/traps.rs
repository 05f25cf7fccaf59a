//! One script a trap: semantics that are easily got wrong, with answers from the language's
//! documentation and source, in the format of the shared scripts.

use crate::runner::check_script;

#[test]
fn t13_ranges_and_lookback_are_left_open() {
    check_script(
        "load 1m
           a 0+1x10

         eval instant at 5m count_over_time(a[5m])
           {} 5

         eval instant at 5m count_over_time(a[1m:1m])
           {} 1

         eval instant at 5m rate(a[1m])

         eval instant at 15m a

         eval instant at 14m59s a
           a 10
        ",
    );
}

#[test]
fn t14_a_stale_newest_sample_hides_older_ones_from_instants_only() {
    check_script(
        "load 1m
           a 1 2 stale

         eval instant at 2m a

         eval instant at 2m sum_over_time(a[3m])
           {} 3

         eval instant at 2m count_over_time(a[30s])
        ",
    );
}

#[test]
fn t15_t16_rates_extrapolate_and_stop_at_zero() {
    check_script(
        "load 1m
           c_total 0 60 120 30 90

         eval instant at 4m increase(c_total[5m])
           {} 210

         eval instant at 4m resets(c_total[5m])
           {} 1

         eval instant at 4m irate(c_total[5m])
           {} 1

         eval instant at 3m irate(c_total[5m])
           {} 0.5

         eval instant at 4m delta(c_total[4m])
           {} 40
        ",
    );
}

#[test]
fn t17_subqueries_stand_on_multiples_of_their_step() {
    check_script(
        "load 10s
           a 0+1x100

         eval instant at 95s sum_over_time(a[40s:20s])
           {} 14
        ",
    );
}

#[test]
fn t18_offset_is_relative_to_at_and_may_look_ahead() {
    check_script(
        "load 1m
           a 0+1x10

         eval instant at 1m a @ 300 offset 1m
           a 4

         eval instant at 1m a offset 1m @ 300
           a 4

         eval instant at 1m a offset -2m
           a 3

         eval range from 1m to 3m step 1m a @ end()
           a 3 3 3
        ",
    );
}

#[test]
fn t19_duplicates_on_the_one_side_are_errors_unless_the_other_side_is_empty() {
    check_script(
        "load 1m
           l{x=\"1\"} 1 1
           r{x=\"1\", y=\"1\"} 2 2
           r{x=\"1\", y=\"2\"} 3 3

         eval instant at 1m l * on (x) r
           expect fail msg: found duplicate series for the match group {x=\"1\"} on the right hand-side of the operation: [{__name__=\"r\", x=\"1\", y=\"1\"}, {__name__=\"r\", x=\"1\", y=\"2\"}];many-to-many matching not allowed: matching labels must be unique on one side

         eval instant at 1m missing * on (x) r

         eval instant at 1m r * on (x) l
           expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

         eval instant at 1m r * on (x) group_left l
           {x=\"1\", y=\"1\"} 2
           {x=\"1\", y=\"2\"} 3
        ",
    );
}

#[test]
fn t21_filters_keep_the_vectors_value() {
    check_script(
        "load 1m
           a 7 7

         eval instant at 1m 5 < a
           a 7

         eval instant at 1m a > bool 5
           {} 1

         eval instant at 1m 1 > bool 2
           0
        ",
    );
}

#[test]
fn t22_sums_are_compensated() {
    check_script(
        "load 1m
           a{n=\"1\"} 1e100 1e100
           a{n=\"2\"} 1 1
           a{n=\"3\"} -1e100 -1e100

         eval instant at 1m sum(a)
           {} 1

         eval instant at 1m avg(a)
           {} 0.3333333333333333

         eval instant at 1m -7 % 3
           -1
        ",
    );
}

#[test]
fn t24_nan_is_last_for_topk_and_smallest_for_quantile() {
    check_script(
        "load 1m
           a{n=\"1\"} NaN NaN
           a{n=\"2\"} 2 2
           a{n=\"3\"} 1 1

         eval instant at 1m topk(3, a)
           expect ordered
           a{n=\"2\"} 2
           a{n=\"3\"} 1
           a{n=\"1\"} NaN

         eval instant at 1m bottomk(3, a)
           expect ordered
           a{n=\"3\"} 1
           a{n=\"2\"} 2
           a{n=\"1\"} NaN

         eval instant at 1m max(a)
           {} 2

         eval instant at 1m quantile(0.5, a)
           {} 1
        ",
    );
}

#[test]
fn t25_absent_tells_what_its_equalities_say() {
    check_script(
        "eval instant at 1m absent(a{x=\"1\", y=~\"2\", z=\"3\", z=\"4\"})
           {x=\"1\"} 1

         eval instant at 1m absent(sum(a{x=\"1\"}))
           {} 1

         eval instant at 1m scalar(a)
           NaN
        ",
    );
}

#[test]
fn t51_timestamp_of_a_selector_is_the_samples_time() {
    check_script(
        "load 1m
           a 1 1

         eval instant at 100s timestamp(a)
           {} 60

         eval instant at 100s timestamp(-a)
           {} 100

         eval instant at 100s timestamp(+a)
           {} 100

         eval instant at 100s absent(+nosuch{b=\"c\"})
           {} 1
        ",
    );
}

// Found by diff_promql.py: both 2.42 and 3.14 read with the offset and look back without it.
#[test]
fn t51_timestamp_with_at_and_offset_looks_back_from_at() {
    check_script(
        "load 1m
           a 0+1x20

         eval instant at 0 timestamp(a @ 10m offset 1m)
           {} 540

         eval instant at 0 timestamp(a @ 10m offset 4m30s)

         eval instant at 0 timestamp(a @ 10m offset 5m)

         eval instant at 0 timestamp(a @ 10m offset -3m)
           {} 600

         eval instant at 0 timestamp(a @ 10m offset -5m)

         eval range from 0 to 2m step 1m timestamp(a @ 10m offset 4m)
           {} 360 360 360

         eval instant at 10m timestamp(a offset 5m)
           {} 300
        ",
    );
}

#[test]
fn t55_a_ratio_and_its_complement_part_the_series() {
    check_script(
        "load 1m
           a{n=\"1\"} 1 1
           a{n=\"2\"} 1 1
           a{n=\"3\"} 1 1
           a{n=\"4\"} 1 1

         eval instant at 1m limit_ratio(0.3, a) and limit_ratio(-0.7, a)

         eval instant at 1m count(limit_ratio(0.3, a) or limit_ratio(-0.7, a))
           {} 4
        ",
    );
}
