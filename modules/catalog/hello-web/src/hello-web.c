// A static web server in a few kilobytes that needs nothing but a Linux kernel: no libc, no files but its pages.
//
//   hello-web PORT FOLDER      serves FOLDER/index.html on /, FOLDER/<name> on /<name>, GET and HEAD only
//
// Build with build.sh: freestanding, statically linked, one binary for each architecture.

typedef unsigned long word;
typedef long sword;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, SOCKET = 41, ACCEPT4 = 288, BIND = 49, LISTEN = 50, SETSOCKOPT = 54,
       FORK = 57, EXIT = 60, OPENAT = 257, SIGACTION = 13, ALARM = 37, SENDFILE = 40, LSEEK = 8 };
static sword call(word n, word a, word b, word c, word d, word e) {
    sword result;
    register word r10 __asm__("r10") = d;
    register word r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start:\n xor %rbp,%rbp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
// The kernel wants a return trampoline here; SIG_IGN never uses it.
#define HAS_RESTORER 1
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, CLOSE = 57, SOCKET = 198, ACCEPT4 = 242, BIND = 200, LISTEN = 201, SETSOCKOPT = 208,
       CLONE = 220, EXIT = 93, OPENAT = 56, SIGACTION = 134, SETITIMER = 103, SENDFILE = 71, LSEEK = 62 };
static sword call(word n, word a, word b, word c, word d, word e) {
    register word x8 __asm__("x8") = n;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return (sword)x0;
}
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x0,sp\n and sp,x0,#-16\n bl begin\n");
#elif defined(__arm__)
enum { READ = 3, WRITE = 4, CLOSE = 6, SOCKET = 281, ACCEPT4 = 366, BIND = 282, LISTEN = 284, SETSOCKOPT = 294,
       FORK = 2, EXIT = 1, OPENAT = 322, SIGACTION = 174, SETITIMER = 104, SENDFILE = 187, LSEEK = 19 };
static sword call(word n, word a, word b, word c, word d, word e) {
    register word r7 __asm__("r7") = n;
    register word r0 __asm__("r0") = a;
    register word r1 __asm__("r1") = b;
    register word r2 __asm__("r2") = c;
    register word r3 __asm__("r3") = d;
    register word r4 __asm__("r4") = e;
    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4) : "memory");
    return (sword)r0;
}
__asm__(".globl _start\n_start:\n mov fp,#0\n mov r0,sp\n bic sp,sp,#7\n bl begin\n");
#else
#error "no system calls known for this architecture"
#endif

enum { AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SOL_SOCKET = 1, SO_REUSEADDR = 2, AT_FDCWD = -100,
       SIGCHLD = 17, SECONDS_PER_CLIENT = 10, LONGEST_REQUEST = 4096 };

// The compiler and libgcc may call these by name.
void *memset(void *to, int value, word count) {
    for (word i = 0; i < count; i++) ((volatile char *)to)[i] = (char)value;
    return to;
}
int raise(int signal) {
    (void)signal;
    call(EXIT, 1, 0, 0, 0, 0);
    __builtin_unreachable();
}

static word length(const char *text) {
    word n = 0;
    while (text[n]) n++;
    return n;
}

static void say(int to, const char *text) { call(WRITE, (word)to, (word)text, length(text), 0, 0); }

static void leave(const char *why) {
    say(2, why);
    call(EXIT, 1, 0, 0, 0, 0);
    __builtin_unreachable();
}

// Ends a client that dawdles: SIGALRM kills this process.
static void set_alarm(void) {
#if defined(__x86_64__)
    call(ALARM, SECONDS_PER_CLIENT, 0, 0, 0, 0);
#else
    sword timer[4] = {0, 0, SECONDS_PER_CLIENT, 0};
    call(SETITIMER, 0, (word)timer, 0, 0, 0);
#endif
}

static sword fork_child(void) {
#if defined(__aarch64__)
    return call(CLONE, SIGCHLD, 0, 0, 0, 0);
#else
    return call(FORK, 0, 0, 0, 0, 0);
#endif
}

// Children are reaped by the kernel.
static void ignore_children(void) {
    word action[5] = {1 /* SIG_IGN */, 0, 0, 0, 0};
    call(SIGACTION, SIGCHLD, (word)action, 0, 8, 0);
}

static int parse_port(const char *text) {
    int port = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || port > 6553) return -1;
        port = port * 10 + (*text - '0');
    }
    return port > 0 && port < 65536 ? port : -1;
}

static int starts_with(const char *text, const char *prefix) {
    for (; *prefix; text++, prefix++)
        if (*text != *prefix) return 0;
    return 1;
}

// Copies the path of the request line to `name`; 0 where it is not one plain file name.
static int requested_name(const char *path, char *name, word room) {
    word n = 0;
    if (*path++ != '/') return 0;
    for (; *path != ' ' && *path != '?'; path++, n++) {
        char c = *path;
        int plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'
                    || (c == '.' && n > 0);
        if (!plain || n + 1 >= room) return 0;
        name[n] = c;
    }
    name[n] = 0;
    if (n == 0) __builtin_memcpy(name, "index.html", 11);
    return 1;
}

static const char *type_of(const char *name) {
    const char *dot = 0;
    for (; *name; name++)
        if (*name == '.') dot = name;
    if (dot && starts_with(dot, ".html")) return "text/html; charset=utf-8";
    if (dot && starts_with(dot, ".css")) return "text/css";
    if (dot && starts_with(dot, ".svg")) return "image/svg+xml";
    return "text/plain; charset=utf-8";
}

static void say_number(int to, word number) {
    char digits[24];
    int at = sizeof digits - 1;
    digits[at] = 0;
    do digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    say(to, digits + at);
}

static void refuse(int client, const char *status) {
    say(client, "HTTP/1.1 ");
    say(client, status);
    say(client, "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ");
    say_number(client, length(status) + 1);
    say(client, "\r\n\r\n");
    say(client, status);
    say(client, "\n");
}

static sword open_in(sword folder, const char *name) { return call(OPENAT, (word)folder, (word)name, 0, 0, 0); }

static void answer(int client, sword folder) {
    char request[LONGEST_REQUEST];
    char name[64];
    word got = 0;
    for (;;) {
        sword n = call(READ, (word)client, (word)(request + got), sizeof request - 1 - got, 0, 0);
        if (n <= 0) return;
        got += (word)n;
        request[got] = 0;
        int ended = 0;
        for (word i = 3; i < got && !ended; i++)
            ended = request[i - 3] == '\r' && request[i - 2] == '\n' && request[i - 1] == '\r' && request[i] == '\n';
        if (ended) break;
        if (got + 1 >= sizeof request) return refuse(client, "431 Request Header Fields Too Large");
    }
    int head = starts_with(request, "HEAD ");
    if (!head && !starts_with(request, "GET ")) return refuse(client, "405 Method Not Allowed");
    if (!requested_name(request + (head ? 5 : 4), name, sizeof name)) return refuse(client, "404 Not Found");
    sword file = open_in(folder, name);
    if (file < 0) return refuse(client, "404 Not Found");
    sword size = call(LSEEK, (word)file, 0, 2 /* SEEK_END */, 0, 0);
    call(LSEEK, (word)file, 0, 0 /* SEEK_SET */, 0, 0);
    if (size < 0) return refuse(client, "404 Not Found");
    say(client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: ");
    say(client, type_of(name));
    say(client, "\r\nContent-Length: ");
    say_number(client, (word)size);
    say(client, "\r\n\r\n");
    while (!head && size > 0) {
        sword sent = call(SENDFILE, (word)client, (word)file, 0, (word)size, 0);
        if (sent <= 0) return;
        size -= sent;
    }
}

// Listens on all addresses: one IPv6 socket serves both, IPv4 alone where the kernel has no IPv6.
static sword listen_on(int port) {
    unsigned char six[28] = {0}, four[16] = {0};
    *(unsigned short *)six = AF_INET6;
    *(unsigned short *)four = AF_INET;
    six[2] = four[2] = (unsigned char)(port >> 8);
    six[3] = four[3] = (unsigned char)port;
    int one = 1;
    sword socket = call(SOCKET, AF_INET6, SOCK_STREAM, 0, 0, 0);
    if (socket >= 0) {
        call(SETSOCKOPT, (word)socket, SOL_SOCKET, SO_REUSEADDR, (word)&one, sizeof one);
        if (call(BIND, (word)socket, (word)six, sizeof six, 0, 0) == 0) return socket;
        call(CLOSE, (word)socket, 0, 0, 0, 0);
    }
    socket = call(SOCKET, AF_INET, SOCK_STREAM, 0, 0, 0);
    if (socket < 0) leave("hello-web: no socket\n");
    call(SETSOCKOPT, (word)socket, SOL_SOCKET, SO_REUSEADDR, (word)&one, sizeof one);
    if (call(BIND, (word)socket, (word)four, sizeof four, 0, 0) != 0) leave("hello-web: the port is taken\n");
    return socket;
}

void begin(word *stack) {
    word count = stack[0];
    char **args = (char **)(stack + 1);
    int port = count == 3 ? parse_port(args[1]) : -1;
    if (port < 0) leave("usage: hello-web PORT FOLDER\n");
    sword folder = open_in(AT_FDCWD, args[2]);
    if (folder < 0) leave("hello-web: cannot open the folder\n");
    sword socket = listen_on(port);
    if (call(LISTEN, (word)socket, 64, 0, 0, 0) != 0) leave("hello-web: cannot listen\n");
    ignore_children();
    say(1, "hello-web: listening on port ");
    say(1, args[1]);
    say(1, "\n");
    for (;;) {
        sword client = call(ACCEPT4, (word)socket, 0, 0, 0, 0);
        if (client < 0) continue;
        if (fork_child() == 0) {
            set_alarm();
            answer((int)client, folder);
            call(EXIT, 0, 0, 0, 0, 0);
        }
        call(CLOSE, (word)client, 0, 0, 0, 0);
    }
}
