//! The program: arguments in, exit status out.

/// A static glibc's allocator is slow and fragments.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    watchbell::cli::run(std::env::args().collect())
}
