//! Takes Valkey 8 from Debian's package through a private apt: its own sources, lists and cache.
//!
//! The mirror is the one that the system's apt already uses, with its backports added. Only apt's
//! record of installed packages is read, so that the libraries still missing come along.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Found, files_below};
use crate::find::PROGRAM;
use crate::limited::run;

/// The package and the versions of it that serve.
const PACKAGE: &str = "valkey-server=8.*";
/// The keyring that Debian's own archive is signed with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What describes the system, in the form `NAME=value`.
const OS_RELEASE: &str = "/etc/os-release";

/// Downloads and unpacks the server and the libraries that the system lacks into `scratch`.
pub(super) fn download(scratch: &Path) -> Result<Found, String> {
    let release = fs::read_to_string(OS_RELEASE).map_err(|e| format!("{OS_RELEASE}: {e}"))?;
    let system = System::parse(&release)?;
    let targets = run(
        Command::new("apt-get")
            .args(["indextargets", "--format"])
            .arg("$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)")
            .arg("Created-By: Packages"),
        scratch,
    )?;
    let keyring = Path::new(KEYRING).is_file().then_some(KEYRING);
    let sources = system.sources(&targets, keyring);
    if sources.is_empty() {
        return Err(format!("apt has no source for {}", system.codename));
    }
    let apt = PrivateApt { root: scratch };
    apt.lay_out(&sources)?;
    // One of several lists may be missing while the one with the package is there, so a failed
    // update counts only if the package then cannot be had.
    let updated = run(apt.get().arg("update"), scratch);
    run(apt.get().args(["install", PACKAGE]), scratch).map_err(|reason| match updated {
        Ok(_) => reason,
        Err(update) => format!("{reason}; before that, {update}"),
    })?;
    unpack(scratch)
}

fn unpack(scratch: &Path) -> Result<Found, String> {
    let tree = scratch.join("tree");
    for package in files_below(&scratch.join("archives"), &|name| name.ends_with(".deb")) {
        run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&tree), scratch)?;
    }
    let server = files_below(&tree.join("usr/bin"), &|name| name == PROGRAM)
        .pop()
        .ok_or("apt brought no server; is the package installed, but not on PATH?")?;
    let libraries = files_below(&tree, &|name| name.contains(".so"));
    Ok(Found { server, libraries })
}

/// An apt whose every file but the record of installed packages lies below `root`.
struct PrivateApt<'a> {
    root: &'a Path,
}

impl PrivateApt<'_> {
    fn lay_out(&self, sources: &str) -> Result<(), String> {
        for folder in ["state/lists/partial", "archives/partial"] {
            let folder = self.root.join(folder);
            fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        fs::write(self.root.join("sources.list"), sources).map_err(|e| format!("sources.list: {e}"))
    }

    fn get(&self) -> Command {
        let root = self.root.display();
        let options = [
            format!("Dir::State={root}/state"),
            "Dir::State::status=/var/lib/dpkg/status".to_owned(),
            format!("Dir::Cache={root}"),
            format!("Dir::Etc::sourcelist={root}/sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            // Nothing of the system is changed, so nothing of it needs its locks or its users.
            "Debug::NoLocking=1".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            "APT::Get::Download-Only=1".to_owned(),
            "APT::Get::Assume-Yes=1".to_owned(),
            "APT::Install-Recommends=0".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=0".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        let mut command = Command::new("apt-get");
        command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
        for option in options {
            command.arg("-o").arg(option);
        }
        command
    }
}

/// Which system this is, as far as its package sources depend on it.
struct System {
    id: String,
    codename: String,
}

impl System {
    fn parse(release: &str) -> Result<Self, String> {
        let field = |name: &str| {
            release
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map(|value| value.trim_matches('"').to_owned())
        };
        let codename = field("VERSION_CODENAME").ok_or("this system is not Debian-like")?;
        let id = field("ID").unwrap_or_default();
        Ok(Self { id, codename })
    }

    /// Writes the sources of the private apt from what the system's apt reads now, one line
    /// `uri release codename component` each.
    fn sources(&self, targets: &str, keyring: Option<&str>) -> String {
        let debian = self.id == "debian";
        let signed = match keyring {
            Some(keyring) if debian => format!("[signed-by={keyring}] "),
            _ => String::new(),
        };
        let mut sources = String::new();
        for target in targets.lines() {
            let [uri, release, codename, component] = target.split(' ').collect::<Vec<_>>()[..]
            else {
                continue;
            };
            if release != self.codename && codename != self.codename {
                continue;
            }
            sources += &format!("deb {signed}{uri} {release} {component}\n");
            if debian {
                let backports = format!("{}-backports", self.codename);
                sources += &format!("deb {signed}{uri} {backports} {component}\n");
            }
        }
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "\
        http://mirror/debian/ bookworm bookworm main\n\
        http://mirror/debian/ bookworm-updates bookworm-updates main\n\
        http://mirror/tools/ stable stable main\n";

    #[test]
    fn parse_reads_quoted_and_plain_fields() {
        let system = System::parse("ID=debian\nVERSION_CODENAME=\"bookworm\"\n").expect("Debian");
        assert_eq!((system.id.as_str(), system.codename.as_str()), ("debian", "bookworm"));
    }

    #[test]
    fn parse_refuses_a_system_without_a_codename() {
        assert!(System::parse("ID=fedora\n").is_err());
    }

    #[test]
    fn sources_add_backports_of_the_same_mirror() {
        let system = System::parse("ID=debian\nVERSION_CODENAME=bookworm\n").expect("Debian");
        let expected = "deb [signed-by=/k] http://mirror/debian/ bookworm main\n\
            deb [signed-by=/k] http://mirror/debian/ bookworm-backports main\n";
        assert_eq!(system.sources(TARGETS, Some("/k")), expected);
    }

    #[test]
    fn sources_of_another_system_have_no_backports() {
        let system = System::parse("ID=other\nVERSION_CODENAME=bookworm\n").expect("a system");
        let expected = "deb http://mirror/debian/ bookworm main\n";
        assert_eq!(system.sources(TARGETS, Some("/k")), expected);
    }
}
