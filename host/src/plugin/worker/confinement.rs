//! What confines a worker, and what is missing where a kernel does not have it.
//!
//! Three layers, each of which would do for most of what a compiler could be made to try: Landlock (files, connections, signals),
//! seccomp (system calls), and limits that the kernel keeps for every process.

use std::{collections::BTreeMap, env, fmt, process};

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use serde::{Deserialize, Serialize};

use crate::config::PluginLimits;

/// The newest kernel interface that is asked for; an older kernel enforces what it knows of it.
const LANDLOCK: ABI = ABI::V6;

/// What a process needs that reads a pipe, computes, and writes to another, however it ends. Memory that can be run, and
/// signals, have conditions of their own.
const CALLS: [i64; 24] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_set_robust_list,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What confines workers on this machine, as one of them found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether Landlock denies files.
    pub landlock: bool,
    /// Whether a filter denies system calls.
    pub seccomp: bool,
    /// What it could do all the same when it tried.
    pub open: Vec<String>,
}

impl Confinement {
    /// True if both layers are in force and nothing was possible that should not be.
    pub fn is_whole(&self) -> bool {
        self.landlock && self.seccomp && self.open.is_empty()
    }
}

impl fmt::Display for Confinement {
    /// What is missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut missing = Vec::new();
        if !self.landlock {
            missing.push(
                "this kernel has no Landlock (5.13 or newer, with `landlock` among its security modules)".to_owned(),
            );
        }
        if !self.seccomp {
            missing.push("system calls cannot be filtered (seccomp)".to_owned());
        }
        missing.extend(self.open.iter().map(|what| format!("a worker could {what}")));
        f.write_str(&missing.join("; "))
    }
}

/// Gives up everything but what is needed to compile, layer by layer.
pub(super) fn confine(limits: &PluginLimits) -> std::io::Result<Confinement> {
    let landlock = give_up_files().map_err(std::io::Error::other)? != RulesetStatus::NotEnforced;
    bound(limits)?;
    let seccomp = give_up_calls().is_ok();
    Ok(Confinement { landlock, seccomp, open: Vec::new() })
}

/// No file, no connection, no signal to another process: as far as the kernel knows how to enforce it.
fn give_up_files() -> Result<RulesetStatus, RulesetError> {
    let given_up = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()?;
    Ok(given_up.ruleset)
}

/// Limits that the kernel keeps: memory, processor time, no further process, thread or descriptor, no file of any size.
fn bound(limits: &PluginLimits) -> std::io::Result<()> {
    let cpu_s_max = limits.compile_cpu_s_max;
    let bounds = [
        (Resource::As, limits.compile_memory_bytes_max, limits.compile_memory_bytes_max),
        // The first bound ends it by a signal that says why, the second by one that says nothing.
        (Resource::Cpu, cpu_s_max, cpu_s_max + 1),
        (Resource::Fsize, 0, 0),
        (Resource::Core, 0, 0),
        (Resource::Nproc, 0, 0),
        (Resource::Nofile, 0, 0),
        (Resource::Memlock, 0, 0),
        (Resource::Msgqueue, 0, 0),
    ];
    for (resource, current, maximum) in bounds {
        setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
    }
    Ok(())
}

/// No system call but those of [`CALLS`]. Others fail with EPERM rather than end the process: a C library may try one
/// and go on without.
fn give_up_calls() -> Result<(), seccompiler::Error> {
    apply_filter(&filter()?)
}

fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    // Code is made here, and never run.
    let not_executable = SeccompCondition::new(
        2,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(u64::from(libc::PROT_EXEC.unsigned_abs())),
        0,
    )?;
    let own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(process::id()))?;
    for (call, condition) in [
        (libc::SYS_mmap, not_executable.clone()),
        (libc::SYS_mprotect, not_executable),
        // How a process aborts.
        (libc::SYS_tgkill, own),
    ] {
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = TargetArch::try_from(env::consts::ARCH)?;
    Ok(SeccompFilter::new(rules, denied, SeccompAction::Allow, arch)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{self, ErrorKind},
        net::{TcpListener, UdpSocket},
        os::unix::net::UnixStream,
        process::Command,
        thread,
    };

    use rustix::process::{Pid, Signal, kill_process};
    use wasmtime::{Engine, component::Component};

    use super::*;
    use crate::plugin::engine::compiler_config;

    /// On a thread of its own: what a thread gives up, only it has given up.
    fn confined(test: impl FnOnce() + Send + 'static) {
        thread::spawn(test).join().unwrap();
    }

    #[test]
    fn files_that_are_given_up_are_gone() {
        confined(|| {
            assert!(File::open("/proc/self/exe").is_ok());
            let status = give_up_files().unwrap();
            if status == RulesetStatus::NotEnforced {
                println!("this kernel has no Landlock: nothing to see");
                return;
            }
            let denied = File::open("/proc/self/exe").unwrap_err();
            assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
            if status == RulesetStatus::FullyEnforced {
                assert_eq!(TcpListener::bind(("127.0.0.1", 0)).unwrap_err().kind(), ErrorKind::PermissionDenied);
            }
        });
    }

    #[test]
    fn calls_that_are_given_up_are_denied_and_the_others_go_on() {
        confined(|| {
            give_up_calls().unwrap();
            let tried = [
                File::open("/proc/self/exe").map(drop),
                TcpListener::bind(("127.0.0.1", 0)).map(drop),
                UdpSocket::bind(("127.0.0.1", 0)).map(drop),
                UnixStream::pair().map(drop),
                Command::new("/bin/true").status().map(drop),
                thread::Builder::new().spawn(|| ()).map(drop),
                kill_process(Pid::INIT, Signal::URG).map_err(Into::into),
            ]
            .map(|tried| tried.map_err(|error: io::Error| error.kind()));
            assert_eq!(tried, [Err(ErrorKind::PermissionDenied); 7]);
            let much: Vec<u8> = vec![1; 8 << 20];
            assert_eq!(much.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 8 << 20, "memory comes and goes");
        });
    }

    #[test]
    fn code_is_made_and_cannot_be_run() {
        let component =
            wat::parse_str("(component (core module $m (func (export \"f\"))) (core instance (instantiate $m)))");
        let component = component.unwrap();
        let mut config = compiler_config(&PluginLimits::default());
        config.parallel_compilation(false);
        let engine = Engine::new(&config).unwrap();
        assert!(Component::from_binary(&engine, &component).is_ok(), "here it can");
        confined(move || {
            give_up_calls().unwrap();
            assert!(engine.precompile_component(&component).is_ok());
            assert!(Component::from_binary(&engine, &component).is_err());
        });
    }
}
