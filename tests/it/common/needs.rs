//! What tests need of the machine: whether it is there, and what to do where it is not.

use std::{
    env, fs,
    io::Write as _,
    process::{Command, Stdio},
};

use super::servers::{Release, file};

/// What gives the programs that the tests need.
const PACKAGES: &[(&str, &str)] = &[
    ("prometheus", "apt-get install prometheus"),
    ("promtool", "apt-get install prometheus"),
    ("prometheus-alertmanager", "apt-get install prometheus-alertmanager"),
    ("amtool", "apt-get install prometheus-alertmanager"),
    ("victoria-metrics", "apt-get install victoria-metrics"),
    ("vmagent", "apt-get install victoria-metrics"),
    ("curl", "apt-get install curl"),
    ("nginx", "apt-get install nginx-light"),
    ("git", "apt-get install git"),
    ("openssl", "apt-get install openssl"),
    ("script", "apt-get install bsdutils"),
    ("systemd-analyze", "apt-get install systemd"),
    ("fish", "apt-get install fish"),
    ("zsh", "apt-get install zsh"),
    ("mandoc", "apt-get install mandoc"),
    ("check-jsonschema", "pip install check-jsonschema"),
    ("kubernetes-validate", "pip install kubernetes-validate"),
];

/// Any of these is a browser; the second has no window and is smaller.
const BROWSERS: [&str; 2] = ["chromium", "chromium-headless-shell"];

/// Whether the programs are there.
pub(crate) fn there_are(programs: &[&str], test: &str) -> bool {
    programs.iter().all(|program| {
        let package = PACKAGES.iter().find(|(name, _)| name == program).map(|(_, package)| *package);
        let package = package.unwrap_or_else(|| panic!("what gives {program}?"));
        there_is(starts(program), program, package, test)
    })
}

/// Whether the programs of Debian's next release are there.
pub(crate) fn newer_are_there(programs: &[&str], test: &str) -> bool {
    let is_there = |program: &&str| Release::Newer.program(program).exists();
    programs.iter().all(|program| there_is(is_there(program), &format!("the newer {program}"), "tests/newer", test))
}

fn starts(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The browser of this machine.
pub(crate) fn browser() -> Option<&'static str> {
    BROWSERS.into_iter().find(|program| starts(program))
}

/// Whether there is one.
pub(crate) fn browser_is_there(test: &str) -> bool {
    there_is(browser().is_some(), "a browser", "apt-get install chromium-headless-shell", test)
}

/// Whether this machine lets a process have file systems of its own. Where it does not, that is the administrator's
/// decision, or a container's, and nothing that can be installed: the test is left out even where all must run.
pub(crate) fn own_disks_are_there(test: &str) -> bool {
    let mut probe = Command::new("unshare");
    probe.args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt && mount -o remount,bind,ro /mnt"]);
    let can = probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !can {
        left_out(test, "needs user and mount namespaces, which this machine refuses: unshare -rm must be allowed");
    }
    can
}

/// Whether this machine boots another one, of what is installed here: that takes an administrator who may mount, and is no
/// more to be installed than what the test before needs.
pub(crate) fn systemd_boots(test: &str) -> bool {
    let mut probe = Command::new("unshare");
    probe.args([
        "--mount",
        "sh",
        "-ec",
        "mount -t tmpfs tmpfs /mnt; mkdir /mnt/upper /mnt/work /mnt/root; mount -t overlay overlay -o \
         lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root; systemd-nspawn --version; test -x /mnt/root/sbin/init",
    ]);
    let can = probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !can {
        left_out(
            test,
            "needs an administrator who may boot a container: apt-get install systemd-container systemd-sysv, as root",
        );
    }
    can
}

/// Says whether a test can run; where it lacks something it is named and left out, unless all must run.
pub(crate) fn there_is(is_there: bool, what: &str, how: &str, test: &str) -> bool {
    if !is_there {
        let need = format!("needs {what}: {how}");
        assert!(env::var_os("OURA_TEST_ALL").is_none(), "{test} {need}");
        left_out(test, &need);
    }
    is_there
}

/// Names a test that is left out and says why, past the test runner, which hides what good tests print.
pub(crate) fn left_out(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "left out: {test} {why}");
}

/// The text of axe-core, which looks at pages as a screen reader does; none where it is not installed, and then the test is
/// named.
pub(crate) fn axe(test: &str) -> Option<String> {
    let text = fs::read_to_string(file("tests/web/node_modules/axe-core/axe.min.js")).ok();
    there_is(text.is_some(), "axe-core", "npm ci --prefix tests/web", test);
    text
}
