/* The Linux socket ABI as far as the UAPI headers leave it to the C library: families, types, message flags, struct msghdr. */
#ifndef NET_SOCKET_ABI_H
#define NET_SOCKET_ABI_H

#include <asm/socket.h>
#include <fs/file.h>
#include <kernel/compiler.h>

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_SEQPACKET 5
#define SOCK_TYPE_MASK 0xf
#define SOCK_NONBLOCK 04000
#define SOCK_CLOEXEC 02000000

#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2

#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_DONTROUTE 4
#define MSG_CTRUNC 8
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_CONFIRM 0x800
#define MSG_ERRQUEUE 0x2000
#define MSG_NOSIGNAL 0x4000
#define MSG_MORE 0x8000
#define MSG_WAITFORONE 0x10000
#define MSG_ZEROCOPY 0x4000000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SCM_RIGHTS 1
#define SOL_IP 0
#define SOL_TCP 6
#define SOL_UDP 17
#define SOL_IPV6 41

struct msghdr_abi {
    void *name;
    uint32_t name_length;
    struct iovec *iov;
    size_t iov_count;
    void *control;
    size_t control_length;
    int flags;
};
struct mmsghdr_abi {
    struct msghdr_abi header;
    uint32_t length;
};
struct cmsghdr_abi {
    size_t length;
    int level, type;
};
struct linger_abi {
    int on, seconds;
};
struct timeval_abi {
    int64_t seconds, microseconds;
};

#endif
