//! A network namespace for one program: no interface in it but its own loopback, and where domains are named, the
//! port behind which the agent waits. Runs in the forked child.

use std::os::fd::{AsRawFd, OwnedFd};

/// Where the program finds the agent, in its own namespace.
pub const PROXY_PORT: u16 = 3128;

/// How the child's network is cut before its program starts.
pub enum Cut {
    /// By the filter alone.
    BySeccomp,
    Namespace {
        /// Who makes it, where only a user namespace of one's own gives the right to; (uid, gid).
        through_user: Option<(u32, u32)>,
        /// Takes the socket that listens inside.
        proxy: Option<OwnedFd>,
    },
}

impl Cut {
    /// # Safety
    /// For a forked child: only system calls. Answers -1 and errno as they do.
    pub unsafe fn make(&self) -> i32 {
        let Cut::Namespace { through_user, proxy } = self else { return 0 };
        // SAFETY: as promised by the caller.
        unsafe {
            let flags = if through_user.is_some() { libc::CLONE_NEWUSER } else { 0 };
            if libc::unshare(flags | libc::CLONE_NEWNET) < 0 {
                return -1;
            }
            if let Some((uid, gid)) = through_user
                && map_user(*uid, *gid) < 0
            {
                return -1;
            }
            let Some(to) = proxy else { return 0 };
            let listener = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
            if listener < 0 || raise_loopback(listener) < 0 || listen(listener) < 0 {
                return -1;
            }
            let sent = send(to.as_raw_fd(), listener);
            libc::close(listener);
            sent
        }
    }
}

/// The user and group as they were, and no others.
unsafe fn map_user(uid: u32, gid: u32) -> i32 {
    // SAFETY: the texts are valid for the lengths that are said.
    unsafe {
        let maps = [(c"/proc/self/uid_map", uid), (c"/proc/self/gid_map", gid)];
        write_file(c"/proc/self/setgroups", b"deny");
        for (path, id) in maps {
            let mut line = Line::default();
            line.number(id);
            line.byte(b' ');
            line.number(id);
            line.byte(b' ');
            line.byte(b'1');
            if write_file(path, &line.text[..line.length]) < 0 {
                return -1;
            }
        }
    }
    0
}

/// Text without an allocation.
#[derive(Default)]
struct Line {
    text: [u8; 32],
    length: usize,
}

impl Line {
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn number(&mut self, number: u32) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }
}

unsafe fn write_file(path: &std::ffi::CStr, text: &[u8]) -> isize {
    // SAFETY: valid pointers and lengths.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 {
            return -1;
        }
        let written = libc::write(file, text.as_ptr().cast(), text.len());
        libc::close(file);
        written
    }
}

unsafe fn raise_loopback(socket: i32) -> i32 {
    // SAFETY: a zeroed request is valid, and the kernel reads no more than it.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as _;
        request.ifr_name[1] = b'o' as _;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
        libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request)
    }
}

unsafe fn listen(socket: i32) -> i32 {
    const WAITING: i32 = 16;
    // SAFETY: the address is valid for the size that is said.
    unsafe {
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as _;
        address.sin_port = PROXY_PORT.to_be();
        address.sin_addr.s_addr = u32::from_be_bytes([127, 0, 0, 1]).to_be();
        let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        if libc::bind(socket, (&raw const address).cast(), size) < 0 {
            return -1;
        }
        libc::listen(socket, WAITING)
    }
}

/// Room for one control message with one descriptor, aligned as its header must be.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Hands a descriptor over.
unsafe fn send(to: i32, fd: i32) -> i32 {
    // SAFETY: message, control and data live to the end of the call; the control buffer has room for one descriptor.
    unsafe {
        let mut byte = 1u8;
        let mut data = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut control = Control([0; 64]);
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<i32>() as _) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as _) as _;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(fd);
        i32::from(libc::sendmsg(to, &raw const message, libc::MSG_NOSIGNAL) == 1) - 1
    }
}

/// Takes the descriptor that the child handed over, if it did before it went on.
pub fn receive(from: &OwnedFd) -> std::io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: message, control and data live to the end of the call; the descriptor is fresh and nobody else's.
    unsafe {
        let mut byte = 0u8;
        let mut data = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut control = Control([0; 64]);
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        if libc::recvmsg(from.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) != 1 {
            return Err(std::io::Error::last_os_error());
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        Ok(OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned()))
    }
}
