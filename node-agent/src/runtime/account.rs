//! Whom a process runs as, and becoming that user.

use std::io;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Keeps the one right of root that a server on a port below 1024 needs.
    pub binds_low_ports: bool,
}

impl Account {
    /// Looks an account up by name.
    pub fn find(name: &str) -> Option<Self> {
        let passwd = std::fs::read("/etc/passwd").ok()?;
        Self::parse(name, &passwd, &std::fs::read("/etc/group").unwrap_or_default())
    }

    /// What others call themselves may be in any encoding.
    fn parse(name: &str, passwd: &[u8], group: &[u8]) -> Option<Self> {
        let [passwd, group] = [passwd, group].map(String::from_utf8_lossy);
        let mut fields = passwd
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let member_of = group.lines().filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let gid = fields.next()?.parse().ok()?;
            fields.next()?.split(',').any(|member| member == name).then_some(gid)
        });
        let groups = std::iter::once(gid).chain(member_of).collect();
        Some(Self { uid, gid, groups, binds_low_ports: false })
    }

    /// Makes the calling process run as this user; for root only.
    ///
    /// # Safety
    /// For a forked child before its exec: it calls only async-signal-safe functions.
    pub unsafe fn become_it(&self) -> io::Result<()> {
        // SAFETY: plain numbers, and a pointer to as many groups as are said.
        unsafe {
            if self.binds_low_ports {
                done(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0))?;
            }
            done(libc::setgroups(self.groups.len() as _, self.groups.as_ptr()))?;
            done(libc::setgid(self.gid))?;
            done(libc::setuid(self.uid))?;
            if self.binds_low_ports && self.uid != 0 {
                keep_net_bind()?;
            }
        }
        Ok(())
    }
}

/// Drops every capability but the one to bind low ports, which then survives the exec.
unsafe fn keep_net_bind() -> io::Result<()> {
    const NET_BIND_SERVICE: u32 = 10;
    const VERSION_3: u32 = 0x2008_0522;
    const RIGHT: u32 = 1 << NET_BIND_SERVICE;
    let header = [VERSION_3, 0];
    // Effective, permitted, inheritable: the low halves of all, then the high ones.
    let sets = [RIGHT, RIGHT, RIGHT, 0, 0, 0];
    // SAFETY: both arrays are as the kernel wants them for this version.
    unsafe {
        if libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
        done(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, NET_BIND_SERVICE, 0, 0))
    }
}

fn done(answer: libc::c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_among_names_in_any_encoding() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nrene:x:1000:1000:Ren\xe9:/home/rene:/bin/sh\n\
            dav:x:992:991::/srv/dav:/bin/false\n";
        let group = b"caf\xe9:x:50:rene\nvideo:x:44:rene,dav\n";
        let expected = Account { uid: 992, gid: 991, groups: vec![991, 44], binds_low_ports: false };
        assert_eq!(Account::parse("dav", passwd, group), Some(expected));
        assert_eq!(Account::parse("av", passwd, group), None);
    }
}
