//! Whom the app runs as: cryokey's own user, or the one that `[process] user` names. Decided once, for `run` and `check`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use init::UserError;
use rustix::fs::{FileType, Stat};
use rustix::process::{getegid, geteuid};
use rustix::thread::CapabilitySet;

use crate::config::Config;
use crate::error::{Failure, Phase, Problem, Reason};
use crate::escape::escaped;
use crate::setting::VARIABLE;
use crate::system::account_name::{AccountName, UserName};
use crate::system::accounts::{Account, Accounts};
use crate::system::read::{self, ReadError};
use crate::system::write::Owner;

const USER: &str = "process.user";

/// What changing the user, and giving files to it, needs.
const NEEDED: [(&str, CapabilitySet); 3] =
    [("CHOWN", CapabilitySet::CHOWN), ("SETGID", CapabilitySet::SETGID), ("SETUID", CapabilitySet::SETUID)];

/// Whom the app runs as. By default, as cryokey's own user.
#[derive(Debug, Default)]
pub struct RunAs {
    selected: Option<Selected>,
    is_change: bool,
}

/// The user that `[process]` selects.
#[derive(Debug)]
pub struct Selected {
    pub user: init::User,
    /// HOME of the app.
    pub home: PathBuf,
    /// The home directory in `/etc/passwd`.
    pub account_home: Option<PathBuf>,
}

impl RunAs {
    /// `Err`: the user is unknown, or cryokey can neither be nor become it.
    pub fn decide(config: &Config) -> Result<Self, Failure> {
        decide(config).map_err(|problem| Failure::one(Phase::Configure, problem))
    }

    /// The user that `[process]` selects, unless it does not apply.
    #[must_use]
    pub fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    /// HOME of the app, if `[process]` selects its user.
    #[must_use]
    pub fn home(&self) -> Option<&Path> {
        self.selected.as_ref().map(|selected| selected.home.as_path())
    }

    #[must_use]
    pub fn is_root(&self) -> bool {
        geteuid().is_root() && !self.is_change
    }

    /// Whom delivered files must be given to, if that is not cryokey's own user.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.change().map(|user| Owner { uid: user.uid, gid: user.gid })
    }

    /// The app's uid.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.change().map_or_else(|| geteuid().as_raw(), |user| user.uid)
    }

    /// Whether the app's user can enter a directory, as its owner and mode say. cryokey's own user is not judged here:
    /// the kernel does that.
    #[must_use]
    pub fn can_enter(&self, directory: &Stat) -> bool {
        let Some(user) = self.change() else { return true };
        let is_member = directory.st_gid == user.gid || user.groups.contains(&directory.st_gid);
        let bit = match directory.st_uid == user.uid {
            true => 0o100,
            false if is_member => 0o010,
            false => 0o001,
        };
        directory.st_mode & bit != 0
    }

    /// Gives the app's user those of descriptors 0 to 2 that are pipes or terminals, so that the app can open
    /// `/dev/stdout`. Others may own them, so a refusal is no error.
    pub fn give_streams(&self) {
        let Some(user) = self.change() else { return };
        for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
            let state = rustix::fs::fstat(stream);
            let is_pipe = state.is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Fifo);
            if is_pipe || stream.is_terminal() {
                let _ = rustix::fs::fchown(stream, Some(rustix::fs::Uid::from_raw(user.uid)), None);
            }
        }
    }

    /// Becomes the app's user, for good.
    pub fn become_user(&self) -> Result<(), Problem> {
        let Some(user) = self.change() else { return Ok(()) };
        init::become_user(user).map_err(|error| cannot_become(user, error))
    }

    /// The user that cryokey has to become.
    #[must_use]
    pub fn change(&self) -> Option<&init::User> {
        self.selected.as_ref().filter(|_| self.is_change).map(|selected| &selected.user)
    }
}

fn decide(config: &Config) -> Result<RunAs, Problem> {
    let Some(named) = &config.user else {
        return without_user(config).map_or(Ok(RunAs::default()), Err);
    };
    let is_root = geteuid().is_root();
    match Selected::find(named, config) {
        Ok(selected) if selected.is_present(named, config) => {
            Ok(RunAs { selected: Some(Selected { user: present()?, ..selected }), is_change: false })
        }
        _ if !is_root && config.user_if_root => Ok(RunAs::default()),
        Ok(selected) if is_root => {
            possible(&selected.user)?;
            Ok(RunAs { selected: Some(selected), is_change: true })
        }
        Ok(selected) => Err(not_root(&selected.user)),
        Err(problem) => Err(problem),
    }
}

/// Settings that say something about a user that no setting names.
fn without_user(config: &Config) -> Option<Problem> {
    let group = config.group.as_ref().map(|_| ("process.group", VARIABLE.group));
    let home = config.home.as_ref().map(|_| ("process.home", VARIABLE.home));
    let (key, variable) = group.or(home)?;
    let what = format!("{key} ({variable}) is set, but {USER} ({}) is not", VARIABLE.user);
    Some(Problem::configuration(key, what, format!("name the user too, or remove {key}")))
}

impl Selected {
    fn find(named: &UserName, config: &Config) -> Result<Self, Problem> {
        let accounts = Accounts::read().map_err(|(path, error)| unreadable(path, error))?;
        let (uid, account) = match &named.user {
            AccountName::Id(uid) => (*uid, accounts.of_uid(*uid)),
            AccountName::Name(name) => {
                let account = accounts.named(name).ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
                (account.uid, Some(account))
            }
        };
        let user = match group(named, config)? {
            Some(name) => {
                let gid = gid(name, &accounts)?;
                init::User { uid, gid, groups: vec![gid] }
            }
            None if account.is_none() && accounts.has_broken_entry(uid) => return Err(broken(uid)),
            None => usual_groups(uid, account.as_ref(), &accounts),
        };
        let account_home = account.and_then(|account| account.home);
        let home = home(config)?.or_else(|| account_home.clone()).unwrap_or_else(|| "/".into());
        Ok(Self { user, home, account_home })
    }

    /// Whether cryokey runs as this user already. Groups that the container was given count as its own, unless the
    /// configuration names another one.
    fn is_present(&self, named: &UserName, config: &Config) -> bool {
        let names_group = config.group.is_some() || named.group.is_some();
        self.user.uid == geteuid().as_raw() && (!names_group || self.user.gid == getegid().as_raw())
    }
}

/// cryokey's own user, with the groups that it was started with.
fn present() -> Result<init::User, Problem> {
    let groups = rustix::process::getgroups().map_err(|errno| {
        let what = format!("the groups of the process cannot be read: {}", std::io::Error::from(errno));
        Problem::new(Reason::Resource, USER, what, "start it again")
    })?;
    let groups = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
    Ok(init::User { uid: geteuid().as_raw(), gid: getegid().as_raw(), groups })
}

/// The group that the configuration names, in one of two places.
fn group<'a>(named: &'a UserName, config: &'a Config) -> Result<Option<&'a AccountName>, Problem> {
    match (named.group.as_ref(), config.group.as_ref()) {
        (Some(one), Some(other)) if one != other => {
            let [one, other] = [one, other].map(|name| escaped(name.to_string()));
            let what = format!("the group is `{one}` in {USER}, and `{other}` in process.group");
            Err(Problem::configuration(USER, what, "name the group in one place"))
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn gid(name: &AccountName, accounts: &Accounts) -> Result<u32, Problem> {
    match name {
        AccountName::Id(gid) => Ok(*gid),
        AccountName::Name(name) => {
            accounts.group_named(name).ok_or_else(|| unknown("group", name, "/etc/group"))
        }
    }
}

/// As Docker has it for `USER`: the account's group and those that list it as a member; group 0 without an account.
fn usual_groups(uid: u32, account: Option<&Account<'_>>, accounts: &Accounts) -> init::User {
    let gid = account.map_or(0, |account| account.gid);
    let mut groups = vec![gid];
    for other in account.map(|account| accounts.groups_of(account.name)).unwrap_or_default() {
        if !groups.contains(&other) {
            groups.push(other);
        }
    }
    init::User { uid, gid, groups }
}

fn home(config: &Config) -> Result<Option<PathBuf>, Problem> {
    let Some(home) = config.home.clone() else { return Ok(None) };
    if home.is_absolute() {
        return Ok(Some(home));
    }
    let what = format!("process.home ({}) is not an absolute path", VARIABLE.home);
    Err(Problem::configuration("process.home", what, "write it from `/` on"))
}

/// Whether root can become this user here: capabilities, and ids that exist in this user namespace.
fn possible(user: &init::User) -> Result<(), Problem> {
    if user.uid == 0 {
        let what = format!("{USER} is root, with another group than the present one");
        return Err(Problem::configuration(USER, what, "name a user other than root, or no group"));
    }
    let has = rustix::thread::capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective);
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(_, one)| !has.contains(*one)).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Err(lacks(user, &missing));
    }
    let outside_of = |map: &str, id: u32| !is_mapped(map, id).unwrap_or(true);
    let gid = user.groups.iter().find(|gid| outside_of("/proc/self/gid_map", **gid));
    let uid = outside_of("/proc/self/uid_map", user.uid).then_some(("uid", user.uid));
    uid.or(gid.map(|gid| ("gid", *gid))).map_or(Ok(()), |(kind, id)| Err(unmapped(kind, id)))
}

/// Whether an id exists in this user namespace; `None`: it cannot be determined.
fn is_mapped(map: &str, id: u32) -> Option<bool> {
    let (text, _) = read::read_path(Path::new(map)).ok()?;
    Some(is_in_map(&String::from_utf8(text).ok()?, id))
}

/// Each line has the first id inside the namespace, the first one outside, and their number (`user_namespaces(7)`).
fn is_in_map(text: &str, id: u32) -> bool {
    let contains = |line: &str| -> Option<bool> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (first, count) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
        Some((first..first.saturating_add(count)).contains(&u64::from(id)))
    };
    text.lines().any(|line| contains(line).unwrap_or_default())
}

fn unreadable(path: &str, error: ReadError) -> Problem {
    let what = format!("{path} cannot be read, so the user of {USER} cannot be looked up: {error}");
    Problem::new(error.reason(), USER, what, format!("correct {path} in the image"))
}

fn unknown(kind: &str, name: &str, file: &str) -> Problem {
    let key = format!("process.{kind}");
    let what = format!("{key} names the {kind} `{}`, which {file} does not have", escaped(name));
    let fix =
        format!("add it in the image's build, or use a number, which needs no entry: {kind} = \"10001\"");
    Problem::configuration(key, what, fix)
}

/// Without its entry, the user would get group 0.
fn broken(uid: u32) -> Problem {
    let what = format!("{USER}: the entry of uid {uid} in /etc/passwd is not valid, so its group is unknown");
    Problem::configuration(
        USER,
        what,
        "correct the entry in the image's build, or name the group: group = \"10001\"",
    )
}

fn not_root(user: &init::User) -> Problem {
    let (uid, gid) = (geteuid(), getegid());
    let (kind, wanted, present) = if user.uid == uid.as_raw() {
        ("gid", user.gid, gid.as_raw())
    } else {
        ("uid", user.uid, uid.as_raw())
    };
    let what = format!(
        "{USER} is {kind} {wanted}, but cryokey was started as {kind} {present}, which cannot change that"
    );
    let fix = format!(
        "start the container as root or as that user, or set `user_if_root = true` ({}) to run the app as the present \
         user",
        VARIABLE.user_if_root
    );
    Problem::configuration(USER, what, fix)
}

fn lacks(user: &init::User, missing: &[&str]) -> Problem {
    let list = missing.join(", ");
    let what = format!("{USER}: root cannot become uid {} here, because it lacks {list}", user.uid);
    let fix = format!(
        "add `cap_add: [{list}]` beside `cap_drop`, or start the container as uid {} (`user:`)",
        user.uid
    );
    Problem::new(Reason::Denied, USER, what, fix)
}

fn unmapped(kind: &str, id: u32) -> Problem {
    let what = format!("{USER}: {kind} {id} does not exist in this user namespace");
    Problem::new(Reason::Denied, USER, what, "choose an id that the container engine maps, or extend its map")
}

/// Why cryokey did not become the app's user.
#[must_use]
pub fn cannot_become(user: &init::User, error: UserError) -> Problem {
    let text = |errno: i32| std::io::Error::from_raw_os_error(errno).to_string();
    let why = match error {
        UserError::Groups(errno) => format!("setgroups: {}", text(errno)),
        UserError::Group(errno) => format!("setresgid: {}", text(errno)),
        UserError::User(errno) => format!("setresuid: {}", text(errno)),
        UserError::NotForGood => "root could be taken back afterwards".into(),
    };
    let what = format!("{USER}: cryokey cannot become uid {}, gid {}: {why}", user.uid, user.gid);
    let fix = format!(
        "check the seccomp profile and the securebits of the container, or start it as uid {} (`user:`)",
        user.uid
    );
    Problem::new(Reason::Denied, USER, what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_mapped_if_a_line_covers_it() {
        let map = "         0     100000      65536\n     70000       5          1\n";
        let mapped: Vec<u32> = [0, 65_535, 65_536, 70_000, 70_001, u32::MAX - 1]
            .into_iter()
            .filter(|id| is_in_map(map, *id))
            .collect();
        assert_eq!(mapped, [0, 65_535, 70_000]);
        assert!(is_in_map("0 0 4294967295\n", u32::MAX - 1) && !is_in_map("", 0) && !is_in_map("x y z", 0));
    }

    #[test]
    fn a_directory_can_be_entered_by_its_owner_its_group_or_all_as_its_mode_says() {
        let mut state = rustix::fs::stat("/").unwrap();
        (state.st_uid, state.st_gid) = (1, 2);
        let can_enter = |uid, groups: &[u32], mode| {
            let user = init::User { uid, gid: 9, groups: groups.to_vec() };
            let selected = Selected { user, home: "/".into(), account_home: None };
            let run_as = RunAs { selected: Some(selected), is_change: true };
            let mut state = state;
            state.st_mode = mode;
            run_as.can_enter(&state)
        };
        assert!(can_enter(1, &[], 0o100) && !can_enter(1, &[2], 0o011));
        assert!(can_enter(3, &[2], 0o010) && !can_enter(3, &[2], 0o101));
        assert!(can_enter(3, &[], 0o001) && !can_enter(3, &[], 0o110));
    }
}
