//! What the courier hands over, as bytes: numbers of eight bytes, the lowest first, then strings that end with a NUL.

use std::ffi::{CStr, CString};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::launch::Launch;
use crate::machine::{Forward, Policy};
use crate::user::User;

/// The app, and how it is to be run.
#[derive(Debug)]
pub struct Handover {
    pub launch: Launch,
    pub policy: Policy,
    /// Whom init becomes before it starts the app.
    pub user: Option<User>,
}

/// Stands for no time at all; in years, longer than anything runs.
const NEVER: Duration = Duration::from_millis(u64::MAX);

/// Stands for no user; the kernel has no such id.
const NOBODY: u64 = u64::MAX;

/// Numbers before those of the groups.
const NUMBERS: usize = 8;

/// Everything as bytes, for `decode`. Inherited strings are copied: init no longer has them where they were.
#[must_use]
pub fn encode(handover: &Handover) -> Zeroizing<Vec<u8>> {
    let Handover { launch, policy, user } = handover;
    let groups = user.as_ref().map_or(&[][..], |user| &user.groups);
    // At once at its final size: growing would leave a copy of the values behind.
    let size = (NUMBERS + groups.len()) * size_of::<u64>() + launch.size();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    let time = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let numbers: [u64; NUMBERS] = [
        u64::from(policy.forward == Forward::Group),
        time(policy.grace.unwrap_or(NEVER)),
        time(policy.linger),
        user.as_ref().map_or(NOBODY, |user| user.uid.into()),
        user.as_ref().map_or(NOBODY, |user| user.gid.into()),
        count(launch.arguments.len()),
        count(launch.environment().count()),
        count(groups.len()),
    ];
    let groups = groups.iter().copied().map(u64::from);
    numbers.into_iter().chain(groups).for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    launch.strings().for_each(|string| bytes.extend_from_slice(string.to_bytes_with_nul()));
    bytes
}

/// What `encode` has made; `None` for anything else.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Handover> {
    let mut rest = bytes;
    let numbers: Vec<u64> = (0..NUMBERS).map(|_| number(&mut rest)).collect::<Option<_>>()?;
    let [to_group, grace, linger, uid, gid, arguments, variables, groups] = numbers.try_into().ok()?;
    let forward = match to_group {
        0 => Forward::App,
        1 => Forward::Group,
        _ => return None,
    };
    let policy = Policy {
        forward,
        grace: Some(Duration::from_millis(grace)).filter(|grace| *grace != NEVER),
        linger: Duration::from_millis(linger),
    };
    let groups = (0..groups).map(|_| id(number(&mut rest)?)).collect::<Option<Vec<_>>>()?;
    let user = match uid {
        NOBODY if gid == NOBODY && groups.is_empty() => None,
        uid => Some(User { uid: id(uid)?, gid: id(gid)?, groups }),
    };
    let mut strings = rest.split_inclusive(|byte| *byte == 0);
    let mut next = || CStr::from_bytes_with_nul(strings.next()?).ok().map(CStr::to_owned);
    let arguments = (0..arguments).map(|_| next()).collect::<Option<Vec<CString>>>()?;
    let environment = (0..variables).map(|_| next().map(Zeroizing::new)).collect::<Option<Vec<_>>>()?;
    let launch = Launch::from_strings(arguments, environment)?;
    strings.next().is_none().then_some(Handover { launch, policy, user })
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

fn id(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    const POLICY: Policy = Policy { forward: Forward::App, grace: None, linger: Duration::from_secs(1) };

    fn launch() -> Launch {
        let mut launch = Launch::new(OsStr::new("/bin/app"), &["-v", ""]).unwrap();
        launch.push_environment(b"KEY=canary-value".to_vec()).unwrap();
        for odd in [c"", c"no-equals", c"A=\xff", c"A=2", c"A=1"] {
            launch.inherit(odd);
        }
        launch
    }

    fn handover(user: Option<User>) -> Handover {
        Handover { launch: launch(), policy: POLICY, user }
    }

    fn users() -> [Option<User>; 3] {
        let user = |groups| Some(User { uid: 1_000, gid: 100, groups });
        [None, user(Vec::new()), user(vec![4, u32::MAX - 1])]
    }

    #[test]
    fn what_is_encoded_and_decoded_is_the_same() {
        let policies = [
            POLICY,
            Policy {
                forward: Forward::Group,
                grace: Some(Duration::from_millis(1_500)),
                linger: Duration::ZERO,
            },
        ];
        for (policy, user) in policies.into_iter().flat_map(|policy| users().map(|user| (policy, user))) {
            let sent = Handover { launch: launch(), policy, user };
            let received = decode(&encode(&sent)).unwrap();
            assert_eq!((received.policy, received.user), (sent.policy, sent.user));
            assert_eq!(received.launch.program, sent.launch.program);
            assert!(received.launch.strings().eq(sent.launch.strings()));
        }
    }

    #[test]
    fn it_is_made_at_its_final_size() {
        for user in users() {
            let groups = user.as_ref().map_or(0, |user| user.groups.len());
            let bytes = encode(&handover(user));
            assert_eq!(bytes.capacity(), (NUMBERS + groups) * 8 + launch().size());
        }
    }

    #[test]
    fn what_is_cut_or_has_more_behind_it_is_none() {
        let [.., user] = users();
        let bytes = encode(&handover(user));
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_none(), "{end}");
        }
        assert!(decode(&[&bytes[..], b"A=1\0"].concat()).is_none());
        for number in [0].into_iter().chain(3..NUMBERS) {
            let mut huge = bytes.to_vec();
            huge[number * 8..][..7].fill(0xff);
            assert!(decode(&huge).is_none(), "{number}");
        }
    }

    #[test]
    fn no_user_has_no_group() {
        const GID: usize = 4;
        const GROUPS: usize = 7;
        let [nobody, ..] = users();
        let bytes = encode(&handover(nobody));
        let mut with_gid = bytes.to_vec();
        with_gid[GID * 8] = 0;
        assert!(decode(&with_gid).is_none());
        let mut with_groups = bytes.to_vec();
        with_groups[GROUPS * 8] = 1;
        with_groups.splice(NUMBERS * 8..NUMBERS * 8, 4_u64.to_le_bytes());
        assert!(decode(&with_groups).is_none());
    }
}
