/* Sockets as the system calls see them: files. Pointers are the caller's memory, checked before. Results are >= 0 or a negative errno; all
   may sleep. But for the first three, f must be a socket (socket_is). */
#ifndef INCLUDE_NET_SOCKET_H
#define INCLUDE_NET_SOCKET_H

#include <fs/file.h>
#include <kernel/compiler.h>

/* One message for send or recv: an iovec and what goes with it. Pointers are the caller's memory. */
struct net_msg {
    const struct iovec *iov;
    int iov_count;
    size_t length;             /* sum of the iovec */
    void *name;                /* send: destination or NULL; recv: room for the source or NULL */
    uint32_t name_length;      /* in: size of name; out: full length of the address */
    void *control;
    size_t control_length;     /* send: bytes; recv: room */
    size_t control_used;       /* recv: bytes written */
    int flags;                 /* MSG_*: in; out (recv): MSG_TRUNC, MSG_CTRUNC */
};

/* Makes a socket with its file (one reference, the caller's): ERR_PTR on error. */
struct file *socket_create(int domain, int type, int protocol, int file_flags);
/* A connected pair of AF_UNIX sockets. */
int socket_pair(int type, int file_flags, struct file *out[2]);
bool socket_is(const struct file *f);

int socket_bind(struct file *f, const void *addr, uint32_t len);
int socket_listen(struct file *f, int backlog);
/* The next connection as a file of its own, in *out. addr may be NULL; else *len is room in, length out. */
int socket_accept(struct file *f, void *addr, uint32_t *len, int file_flags, struct file **out);
int socket_connect(struct file *f, const void *addr, uint32_t len);
int socket_name(struct file *f, bool peer, void *addr, uint32_t *len);
int socket_shutdown(struct file *f, int how);
int socket_option_set(struct file *f, int level, int name, const void *value, uint32_t len);
int socket_option_get(struct file *f, int level, int name, void *value, uint32_t *len);
ssize_t socket_send(struct file *f, struct net_msg *m);
ssize_t socket_recv(struct file *f, struct net_msg *m);

#endif
