//! Scraped protobuf: any bytes end, with samples or an error, and never more of them than bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell::exposition::{Families, Media, Pairs, ProtoError, Survey};
use watchbell::model::Timestamp;

fuzz_target!(|body: &[u8]| {
    let mut samples = 0_usize;
    let _ = read(body, &mut samples);
    // A metric of two bytes is up to three samples.
    assert!(samples <= 3 * body.len(), "{samples} samples out of {} bytes", body.len());
    let survey = Survey::of(body, Media::Protobuf);
    assert!(survey.samples == samples && survey.series <= samples, "another reading");
});

fn read(body: &[u8], samples: &mut usize) -> Result<(), ProtoError> {
    for family in Families::new(body) {
        let family = family?;
        for metric in family.metrics() {
            let metric = metric?;
            metric.each_sample(|sample| {
                metric.read_series(&family, &sample, &mut Pairs::new())?;
                if let Some(exemplar) = sample.exemplar {
                    let _ = exemplar.exemplar(Timestamp::EPOCH);
                }
                *samples += 1;
                Ok::<_, ProtoError>(())
            })?;
        }
    }
    Ok(())
}
