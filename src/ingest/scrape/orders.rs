//! What a target's task is told: only the newest order counts, and to look for one is cheap.

use super::worker::Order;
use crate::sys::locks::lock;
use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// Counted when the sender is gone.
const GONE: u64 = u64::MAX;

#[derive(Debug)]
struct Newest {
    order: Mutex<Order>,
    /// Orders so far, the first not counted.
    count: AtomicU64,
    task: AtomicWaker,
}

/// Gives orders to one task.
#[derive(Debug)]
pub(super) struct Orders(Arc<Newest>);

/// Hears them.
#[derive(Debug)]
pub(super) struct Hearing {
    newest: Arc<Newest>,
    heard: u64,
}

/// Orders for a task, whose first one is this.
pub(super) fn orders(first: Order) -> (Orders, Hearing) {
    let (order, count, task) = (Mutex::new(first), AtomicU64::new(0), AtomicWaker::new());
    let newest = Arc::new(Newest { order, count, task });
    (Orders(Arc::clone(&newest)), Hearing { newest, heard: 0 })
}

impl Orders {
    /// Replaces the order before.
    pub(super) fn send(&self, order: Order) {
        {
            let mut newest = lock(&self.0.order);
            *newest = order;
            self.0.count.fetch_add(1, Ordering::Release);
        }
        self.0.task.wake();
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        self.0.count.store(GONE, Ordering::Release);
        self.0.task.wake();
    }
}

impl Hearing {
    /// The newest order.
    pub(super) fn newest(&mut self) -> Order {
        let newest = lock(&self.newest.order);
        self.heard = self.count();
        newest.clone()
    }

    /// Whether there is one that was not heard yet.
    pub(super) fn has_news(&self) -> bool {
        self.count() != self.heard
    }

    /// Waits for an order that was not heard yet; `false` once nobody gives any.
    pub(super) async fn changed(&self) -> bool {
        poll_fn(|context| self.poll_news(context, |_| true)).await
    }

    /// Waits for one that ends the task's work; `false` once nobody gives any.
    pub(super) async fn ended(&self) -> bool {
        poll_fn(|context| self.poll_news(context, Order::is_end)).await
    }

    fn poll_news(&self, context: &Context<'_>, is_awaited: impl Fn(&Order) -> bool) -> Poll<bool> {
        self.newest.task.register(context.waker());
        match self.count() {
            GONE => return Poll::Ready(false),
            count if count == self.heard => return Poll::Pending,
            _ => {}
        }
        let newest = lock(&self.newest.order);
        if is_awaited(&newest) { Poll::Ready(true) } else { Poll::Pending }
    }

    fn count(&self) -> u64 {
        self.newest.count.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn only_news_wake_and_the_newest_order_counts() {
        let (orders, mut hearing) = orders(Order::Leave);
        assert!(matches!(hearing.newest(), Order::Leave));
        assert_eq!(hearing.changed().now_or_never(), None, "heard already");
        orders.send(Order::Leave);
        orders.send(Order::Stop);
        assert!(hearing.has_news());
        assert_eq!(hearing.changed().now_or_never(), Some(true));
        assert_eq!(hearing.ended().now_or_never(), Some(true));
        assert!(matches!(hearing.newest(), Order::Stop));
        assert!(!hearing.has_news());
        drop(orders);
        assert_eq!(hearing.changed().now_or_never(), Some(false), "nobody gives any more");
    }
}
