/* Socket system calls: arguments are checked and handed to net/socket.c. */
#include <kernel/errptr.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <net/socket.h>
#include <net/socket_abi.h>

#define ADDRESS_MAX 128u
#define IOV_LIMIT 1024u
#define OPTION_MAX 512u

/* The socket's file with a reference, or ERR_PTR. */
static struct file *get(int fd)
{
    struct file *f = fd_file(fd);

    if (f == NULL)
        return ERR_PTR(-EBADF);
    if (!socket_is(f)) {
        file_put(f);
        return ERR_PTR(-ENOTSOCK);
    }
    return f;
}

static int install(struct file *f, int flags)
{
    int fd = fd_install(f, 0, flags & SOCK_CLOEXEC);

    if (fd < 0)
        file_put(f);
    return fd;
}

SYSCALL(socket, 3, "domain, type, protocol", SYSCALL_PARTIAL)
long sys_socket(int domain, int type, int protocol)
{
    struct file *f;

    if ((type & ~SOCK_TYPE_MASK) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
        return -EINVAL;
    f = socket_create(domain, type & SOCK_TYPE_MASK, protocol, type & SOCK_NONBLOCK ? O_NONBLOCK : 0);
    return IS_ERR(f) ? PTR_ERR(f) : install(f, type);
}

SYSCALL(socketpair, 4, "domain, type, protocol, fds", SYSCALL_COMPLETE)
long sys_socketpair(int domain, int type, int protocol, int *fds)
{
    struct file *f[2];
    int a, b, err;

    if (!user_range_ok(fds, 2 * sizeof(int)))
        return -EFAULT;
    if ((type & ~SOCK_TYPE_MASK) & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
        return -EINVAL;
    if (domain != AF_UNIX)
        return domain == AF_INET || domain == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
    if (protocol != 0)
        return -EPROTONOSUPPORT;
    err = socket_pair(type & SOCK_TYPE_MASK, type & SOCK_NONBLOCK ? O_NONBLOCK : 0, f);
    if (err != 0)
        return err;
    a = install(f[0], type);
    if (a < 0) {
        file_put(f[1]);
        return a;
    }
    b = install(f[1], type);
    if (b < 0) {
        fd_close(a);
        return b;
    }
    fds[0] = a;
    fds[1] = b;
    return 0;
}

SYSCALL(bind, 3, "fd, addr, len", SYSCALL_COMPLETE)
long sys_bind(int fd, const void *addr, uint32_t len)
{
    struct file *f;
    long r;

    if (len > ADDRESS_MAX)
        return -EINVAL;
    if (!user_range_ok(addr, len))
        return -EFAULT;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_bind(f, addr, len);
    file_put(f);
    return r;
}

SYSCALL(listen, 2, "fd, backlog", SYSCALL_COMPLETE)
long sys_listen(int fd, int backlog)
{
    struct file *f = get(fd);
    long r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_listen(f, backlog);
    file_put(f);
    return r;
}

static bool name_ok(const void *addr, const uint32_t *len)
{
    return user_range_ok(len, sizeof(*len)) && user_range_ok(addr, *len);
}

SYSCALL(accept4, 4, "fd, addr, len, flags", SYSCALL_COMPLETE)
long sys_accept4(int fd, void *addr, uint32_t *len, int flags)
{
    struct file *f, *c;
    long r;

    if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
        return -EINVAL;
    if (addr != NULL && !name_ok(addr, len))
        return -EFAULT;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_accept(f, addr, len, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0, &c);
    file_put(f);
    return r != 0 ? r : install(c, flags);
}

SYSCALL(accept, 3, "fd, addr, len", SYSCALL_COMPLETE)
long sys_accept(int fd, void *addr, uint32_t *len)
{
    return sys_accept4(fd, addr, len, 0);
}

SYSCALL(connect, 3, "fd, addr, len", SYSCALL_COMPLETE)
long sys_connect(int fd, const void *addr, uint32_t len)
{
    struct file *f;
    long r;

    if (len > ADDRESS_MAX)
        return -EINVAL;
    if (!user_range_ok(addr, len))
        return -EFAULT;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_connect(f, addr, len);
    file_put(f);
    return r;
}

static long get_name(int fd, bool peer, void *addr, uint32_t *len)
{
    struct file *f;
    long r;

    if (!name_ok(addr, len))
        return -EFAULT;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_name(f, peer, addr, len);
    file_put(f);
    return r;
}

SYSCALL(getsockname, 3, "fd, addr, len", SYSCALL_COMPLETE)
long sys_getsockname(int fd, void *addr, uint32_t *len)
{
    return get_name(fd, false, addr, len);
}

SYSCALL(getpeername, 3, "fd, addr, len", SYSCALL_COMPLETE)
long sys_getpeername(int fd, void *addr, uint32_t *len)
{
    return get_name(fd, true, addr, len);
}

SYSCALL(shutdown, 2, "fd, how", SYSCALL_COMPLETE)
long sys_shutdown(int fd, int how)
{
    struct file *f;
    long r;

    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_shutdown(f, how);
    file_put(f);
    return r;
}

SYSCALL(sendto, 6, "fd, buf, len, flags, addr, addr_len", SYSCALL_PARTIAL)
long sys_sendto(int fd, const void *buf, size_t len, int flags, const void *addr, uint32_t addr_len)
{
    struct iovec iov = {(void *)buf, len};
    struct net_msg m = {.iov = &iov, .iov_count = 1, .length = len, .name = (void *)addr, .name_length = addr != NULL ? addr_len : 0,
                        .flags = flags};
    struct file *f;
    long r;

    if (!user_range_ok(buf, len))
        return -EFAULT;
    if (addr != NULL && (addr_len > ADDRESS_MAX || !user_range_ok(addr, addr_len)))
        return addr_len > ADDRESS_MAX ? -EINVAL : -EFAULT;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_send(f, &m);
    file_put(f);
    return r;
}

SYSCALL(recvfrom, 6, "fd, buf, len, flags, addr, addr_len", SYSCALL_PARTIAL)
long sys_recvfrom(int fd, void *buf, size_t len, int flags, void *addr, uint32_t *addr_len)
{
    struct iovec iov = {buf, len};
    struct net_msg m = {.iov = &iov, .iov_count = 1, .length = len, .name = addr, .flags = flags};
    struct file *f;
    long r;

    if (!user_range_ok(buf, len) || (addr != NULL && !name_ok(addr, addr_len)))
        return -EFAULT;
    if (addr != NULL)
        m.name_length = *addr_len;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_recv(f, &m);
    if (r >= 0 && addr != NULL)
        *addr_len = m.name_length;
    file_put(f);
    return r;
}

/* Checks a message header and its vectors and turns it into ours. */
static int read_header(struct msghdr_abi *h, struct net_msg *m, int flags)
{
    if (!user_range_ok(h, sizeof(*h)))
        return -EFAULT;
    if (h->iov_count > IOV_LIMIT)
        return -EMSGSIZE;
    if (!user_range_ok(h->iov, h->iov_count * sizeof(struct iovec)) || !user_range_ok(h->control, h->control_length) ||
        (h->name != NULL && !user_range_ok(h->name, h->name_length)))
        return -EFAULT;
    *m = (struct net_msg){.iov = h->iov, .iov_count = (int)h->iov_count, .name = h->name, .name_length = h->name != NULL ? h->name_length : 0,
                          .control = h->control_length != 0 ? h->control : NULL, .control_length = h->control_length, .flags = flags};
    for (size_t i = 0; i < h->iov_count; i++) {
        if (!user_range_ok(h->iov[i].iov_base, h->iov[i].iov_len))
            return -EFAULT;
        m->length += h->iov[i].iov_len;
        if (m->length > __LONG_MAX__)
            return -EINVAL;
    }
    return 0;
}

static long send_header(struct file *f, struct msghdr_abi *h, int flags)
{
    struct net_msg m;
    int err = read_header(h, &m, flags);

    if (err != 0)
        return err;
    if (m.name_length > ADDRESS_MAX)
        return -EINVAL;
    return socket_send(f, &m);
}

static long recv_header(struct file *f, struct msghdr_abi *h, int flags)
{
    struct net_msg m;
    int err = read_header(h, &m, flags);
    long r;

    if (err != 0)
        return err;
    r = socket_recv(f, &m);
    if (r < 0)
        return r;
    if (h->name != NULL)
        h->name_length = m.name_length;
    h->control_length = m.control_used;
    h->flags = m.flags & (MSG_TRUNC | MSG_CTRUNC | MSG_EOR);
    return r;
}

SYSCALL(sendmsg, 3, "fd, msg, flags", SYSCALL_PARTIAL)
long sys_sendmsg(int fd, struct msghdr_abi *h, int flags)
{
    struct file *f = get(fd);
    long r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    r = send_header(f, h, flags);
    file_put(f);
    return r;
}

SYSCALL(recvmsg, 3, "fd, msg, flags", SYSCALL_PARTIAL)
long sys_recvmsg(int fd, struct msghdr_abi *h, int flags)
{
    struct file *f = get(fd);
    long r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    r = recv_header(f, h, flags);
    file_put(f);
    return r;
}

SYSCALL(sendmmsg, 4, "fd, msgs, count, flags", SYSCALL_PARTIAL)
long sys_sendmmsg(int fd, struct mmsghdr_abi *v, unsigned count, int flags)
{
    struct file *f;
    unsigned done = 0;
    long r = 0;

    count = MIN(count, IOV_LIMIT);
    if (!user_range_ok(v, count * sizeof(*v)))
        return -EFAULT;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    for (; done < count; done++) {
        r = send_header(f, &v[done].header, flags);
        if (r < 0)
            break;
        v[done].length = (uint32_t)r;
    }
    file_put(f);
    return done > 0 || count == 0 ? (long)done : r;
}

SYSCALL(recvmmsg, 5, "fd, msgs, count, flags, timeout", SYSCALL_PARTIAL)
long sys_recvmmsg(int fd, struct mmsghdr_abi *v, unsigned count, int flags, void *timeout)
{
    struct file *f;
    unsigned done = 0;
    long r = 0;

    count = MIN(count, IOV_LIMIT);
    if (!user_range_ok(v, count * sizeof(*v)))
        return -EFAULT;
    if (timeout != NULL)
        return -EINVAL; /* Linux looks at it only between messages; nobody can rely on it */
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    for (; done < count; done++) {
        int one = flags & ~MSG_WAITFORONE;
        if (done > 0 && (flags & MSG_WAITFORONE))
            one |= MSG_DONTWAIT;
        r = recv_header(f, &v[done].header, one);
        if (r < 0)
            break;
        v[done].length = (uint32_t)r;
    }
    file_put(f);
    return done > 0 || count == 0 ? (long)done : r;
}

SYSCALL(setsockopt, 5, "fd, level, name, value, len", SYSCALL_PARTIAL)
long sys_setsockopt(int fd, int level, int name, const void *value, uint32_t len)
{
    struct file *f;
    long r;

    if ((int)len < 0)
        return -EINVAL;
    if (!user_range_ok(value, len))
        return -EFAULT;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_option_set(f, level, name, value, len);
    file_put(f);
    return r;
}

SYSCALL(getsockopt, 5, "fd, level, name, value, len", SYSCALL_PARTIAL)
long sys_getsockopt(int fd, int level, int name, void *value, uint32_t *len)
{
    struct file *f;
    long r;

    if (!name_ok(value, len))
        return -EFAULT;
    if ((int)*len < 0)
        return -EINVAL;
    f = get(fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    r = socket_option_get(f, level, name, value, len);
    file_put(f);
    return r;
}
