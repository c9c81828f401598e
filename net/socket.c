/* Sockets as files: what all families share. The file's operations take net_lock and call the protocol's; what need not wait for it (recv_quick, send_post)
   is tried first. poll takes no lock, because the epoll core calls it under the poll source's lock, which notification takes inside net_lock. */
#include "socket.h"

#include "stack.h"

#include <fs/poll.h>
#include <kernel/clock.h>
#include <kernel/errptr.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <linux/sockios.h>
#include <linux/stat.h>
#include <mm/kmem.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/stat.h>

#define SIOCGIF_FIRST 0x8900
#define SIOCGIF_LAST 0x89ff

struct socket *socket_alloc(int domain, int type, int protocol, const struct socket_ops *ops)
{
    struct socket *so = kzalloc(sizeof(*so));

    if (so == NULL)
        return NULL;
    so->domain = (uint8_t)domain;
    so->type = (uint8_t)type;
    so->protocol = (uint8_t)protocol;
    so->ops = ops;
    waitq_init(&so->readers);
    waitq_init(&so->writers);
    if (ops == &tcp_socket_ops)
        TAILQ_INIT(&so->tcp.accept_queue);
    return so;
}

struct file *socket_file(struct socket *so, int file_flags)
{
    struct file *f = file_new(&socket_file_ops, 2 /* O_RDWR */ | file_flags, so);

    if (f != NULL)
        so->file = f;
    return f;
}

bool socket_is(const struct file *f)
{
    return f->ops == &socket_file_ops;
}

void socket_notify(struct socket *so, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !waitq_empty(&so->readers))
        waitq_wake_all(&so->readers);
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) && !waitq_empty(&so->writers))
        waitq_wake_all(&so->writers);
    if (so->file != NULL)
        poll_source_notify(&so->file->poll_source, events);
}

uint64_t socket_deadline(uint64_t timeout_ns)
{
    return timeout_ns == 0 ? TIME_NEVER : clock_monotonic_ns() + timeout_ns;
}

int socket_take_error(struct socket *so)
{
    int e = so->error;

    so->error = 0;
    return e;
}

static bool nonblocking(struct file *f, int flags)
{
    return (flags & MSG_DONTWAIT) || (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK);
}

ssize_t socket_send(struct file *f, struct net_msg *m)
{
    struct socket *so = f->priv;
    ssize_t r;

    if (unlikely(!mutex_trylock(&net_lock))) {
        r = so->ops->send_post != NULL ? so->ops->send_post(so, m) : 0;
        if (r > 0)
            return r;
        net_acquire();
    }
    r = so->ops->send(so, m, nonblocking(f, m->flags));
    net_release();
    if (unlikely(r == -EPIPE) && !(m->flags & MSG_NOSIGNAL) && so->type != SOCK_DGRAM)
        signal_send_self(SIGPIPE);
    return r;
}

ssize_t socket_recv(struct file *f, struct net_msg *m)
{
    struct socket *so = f->priv;
    ssize_t r;

    if (likely(so->ops->recv_quick != NULL)) {
        r = so->ops->recv_quick(so, m, nonblocking(f, m->flags));
        if (likely(r != 0))
            return r;
    }
    net_acquire();
    r = so->ops->recv(so, m, nonblocking(f, m->flags));
    net_release();
    return r;
}

static size_t iov_length(const struct iovec *iov, int count)
{
    size_t n = 0;

    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return n;
}

static ssize_t sock_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct net_msg m = {.iov = iov, .iov_count = count, .length = iov_length(iov, count)};

    if (pos != FILE_POS_CURRENT)
        return -ESPIPE;
    if (m.length == 0)
        return 0;
    return socket_recv(f, &m);
}

static ssize_t sock_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct net_msg m = {.iov = iov, .iov_count = count, .length = iov_length(iov, count)};

    if (pos != FILE_POS_CURRENT)
        return -ESPIPE;
    return socket_send(f, &m);
}

static int sock_ioctl(struct file *f, unsigned long request, unsigned long arg)
{
    struct socket *so = f->priv;
    int value;

    if (request == FIONREAD || request == TIOCOUTQ) {
        if (!user_range_ok((void *)arg, sizeof(int)))
            return -EFAULT;
        if (request == TIOCOUTQ && so->ops != &tcp_socket_ops)
            return -EINVAL;
        net_acquire();
        if (request == FIONREAD)
            value = (int)MIN(so->ops->readable(so), (size_t)__INT_MAX__);
        else
            value = so->tcp.phase == TCP_PHASE_CONNECTED && so->tcp.pcb != NULL
                        ? (int)(so->tcp.pcb->snd_lbb - so->tcp.pcb->lastack) : 0;
        net_release();
        *(int *)arg = value;
        return 0;
    }
    if (request >= SIOCGIF_FIRST && request <= SIOCGIF_LAST) {
        net_acquire();
        value = interface_ioctl(request, (void *)arg);
        net_release();
        return value;
    }
    return -ENOTTY;
}

static uint32_t sock_poll(struct file *f)
{
    struct socket *so = f->priv;

    return so->ops->poll(so);
}

static int sock_stat(struct file *f, void *out)
{
    struct stat *st = out;

    memset(st, 0, sizeof(*st));
    st->st_mode = S_IFSOCK | 0777;
    st->st_nlink = 1;
    st->st_ino = (unsigned long)f->priv;
    st->st_blksize = 4096;
    return 0;
}

static void sock_release(struct file *f)
{
    struct socket *so = f->priv;

    net_acquire();
    net_look_posted(); /* some may be about this socket; no more can come */
    so->file = NULL;
    net_ack_cancel(so);
    so->ops->release(so);
    net_release();
    kfree(so);
}

const struct file_ops socket_file_ops = {
    .readv = sock_readv,
    .writev = sock_writev,
    .ioctl = sock_ioctl,
    .poll = sock_poll,
    .stat = sock_stat,
    .release = sock_release,
};

static const struct socket_ops *ops_for(int domain, int type, int *protocol)
{
    if (domain == AF_UNIX)
        return (type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET) && *protocol == 0
                   ? &unix_socket_ops : ERR_PTR(-EPROTONOSUPPORT);
    if (domain != AF_INET && domain != AF_INET6)
        return ERR_PTR(-EAFNOSUPPORT);
    if (type == SOCK_STREAM && (*protocol == 0 || *protocol == 6)) {
        *protocol = 6;
        return &tcp_socket_ops;
    }
    if (type == SOCK_DGRAM && (*protocol == 0 || *protocol == 17)) {
        *protocol = 17;
        return &udp_socket_ops;
    }
    return ERR_PTR(type == SOCK_STREAM || type == SOCK_DGRAM ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT);
}


struct file *socket_create(int domain, int type, int protocol, int file_flags)
{
    const struct socket_ops *ops = ops_for(domain, type, &protocol);
    struct socket *so;
    struct file *f;
    int err = 0;

    if (IS_ERR(ops))
        return ERR_PTR(PTR_ERR(ops));
    so = socket_alloc(domain, type, protocol, ops);
    if (so == NULL)
        return ERR_PTR(-ENOBUFS);
    net_acquire();
    if (ops == &tcp_socket_ops)
        err = tcp_socket_open(so);
    else if (ops == &udp_socket_ops)
        err = udp_socket_open(so);
    else
        unix_socket_open(so);
    net_release();
    if (err != 0) {
        kfree(so);
        return ERR_PTR(err);
    }
    f = socket_file(so, file_flags);
    if (f == NULL) {
        net_acquire();
        ops->release(so);
        net_release();
        kfree(so);
        return ERR_PTR(-ENFILE);
    }
    return f;
}

/* Only AF_UNIX has pairs. 0 with two files, or a negative errno. */
int socket_pair(int type, int file_flags, struct file *out[2])
{
    out[0] = socket_create(AF_UNIX, type, 0, file_flags);
    if (IS_ERR(out[0]))
        return (int)PTR_ERR(out[0]);
    out[1] = socket_create(AF_UNIX, type, 0, file_flags);
    if (IS_ERR(out[1])) {
        file_put(out[0]);
        return (int)PTR_ERR(out[1]);
    }
    net_acquire();
    unix_socket_join(out[0]->priv, out[1]->priv);
    net_release();
    return 0;
}

int socket_bind(struct file *f, const void *addr, uint32_t len)
{
    struct socket *so = f->priv;
    int r;

    net_acquire();
    r = so->ops->bind(so, addr, len);
    net_release();
    return r;
}

int socket_listen(struct file *f, int backlog)
{
    struct socket *so = f->priv;
    int r;

    net_acquire();
    r = so->ops->listen != NULL ? so->ops->listen(so, backlog) : -EOPNOTSUPP;
    net_release();
    return r;
}

int socket_accept(struct file *f, void *addr, uint32_t *len, int file_flags, struct file **out)
{
    struct socket *so = f->priv, *c = NULL;
    int r;

    net_acquire();
    r = so->ops->accept != NULL ? so->ops->accept(so, nonblocking(f, 0), &c) : -EOPNOTSUPP;
    if (r == 0) {
        if (addr != NULL)
            c->ops->name(c, true, addr, len);
        *out = socket_file(c, file_flags);
        if (*out == NULL) {
            c->ops->release(c);
            r = -ENFILE;
        }
    }
    net_release();
    if (r != 0)
        kfree(c);
    return r;
}

int socket_connect(struct file *f, const void *addr, uint32_t len)
{
    struct socket *so = f->priv;
    int r;

    net_acquire();
    r = so->ops->connect(so, addr, len, nonblocking(f, 0));
    net_release();
    return r;
}

int socket_name(struct file *f, bool peer, void *addr, uint32_t *len)
{
    struct socket *so = f->priv;
    int r;

    net_acquire();
    r = so->ops->name(so, peer, addr, len);
    net_release();
    return r;
}

int socket_shutdown(struct file *f, int how)
{
    struct socket *so = f->priv;
    int r;

    net_acquire();
    r = so->ops->shutdown(so, how);
    net_release();
    return r;
}

int socket_option_set(struct file *f, int level, int name, const void *value, uint32_t len)
{
    struct socket *so = f->priv;
    int r;

    net_acquire();
    r = so->ops->setopt(so, level, name, value, len);
    net_release();
    return r;
}

int socket_option_get(struct file *f, int level, int name, void *value, uint32_t *len)
{
    struct socket *so = f->priv;
    int r;

    net_acquire();
    r = so->ops->getopt(so, level, name, value, len);
    net_release();
    return r;
}
