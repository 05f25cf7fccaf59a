//! Who listens on a port of this host: for the message that says why ours could not be opened.

use procfs::net::TcpState;
use procfs::process::FDTarget;

/// The process that listens on TCP `port`, as `prometheus (pid 812)`; `None` when it cannot be
/// seen, as for another user's process.
pub fn holder_of(port: u16) -> Option<String> {
    let sockets = [procfs::net::tcp(), procfs::net::tcp6()];
    let inode = sockets.into_iter().flatten().flatten().find_map(|socket| {
        let ours = socket.state == TcpState::Listen && socket.local_address.port() == port;
        ours.then_some(socket.inode)
    })?;
    procfs::process::all_processes().ok()?.flatten().find_map(|process| {
        let holds = process.fd().ok()?.flatten().any(|fd| fd.target == FDTarget::Socket(inode));
        holds.then(|| {
            let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
            format!("{name} (pid {})", process.pid)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_names_its_holder() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let holder = holder_of(port).expect("our own process is visible");
        assert!(holder.ends_with(&format!("(pid {})", std::process::id())), "{holder}");
        drop(listener);
    }
}
