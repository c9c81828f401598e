/* Copying between a message's iovec and memory, and control data. */
#include "socket.h"

#include <kernel/string.h>

static inline size_t copy(const struct net_msg *m, size_t at, char *mem, size_t n, bool to_user)
{
    size_t done = 0;

    for (int i = 0; i < m->iov_count && done < n; i++) {
        size_t len = m->iov[i].iov_len, part;
        if (at >= len) {
            at -= len;
            continue;
        }
        part = MIN(len - at, n - done);
        if (to_user)
            memcpy((char *)m->iov[i].iov_base + at, mem + done, part);
        else
            memcpy(mem + done, (const char *)m->iov[i].iov_base + at, part);
        done += part;
        at = 0;
    }
    return done;
}

/* n bytes from memory into the iovec, from its byte `at` on; what does not fit is left out. */
void msg_copy_out(const struct net_msg *m, size_t at, const void *from, size_t n)
{
    if (likely(m->iov_count == 1 && at + n <= m->iov[0].iov_len))
        memcpy((char *)m->iov[0].iov_base + at, from, n);
    else
        copy(m, at, (char *)from, n, true);
}

void msg_copy_in(void *to, const struct net_msg *m, size_t at, size_t n)
{
    if (likely(m->iov_count == 1 && at + n <= m->iov[0].iov_len))
        memcpy(to, (const char *)m->iov[0].iov_base + at, n);
    else
        copy(m, at, to, n, false);
}

/* Appends one control message. Sets MSG_CTRUNC and returns -ENOSPC when it does not fit. */
int msg_put_control(struct net_msg *m, int level, int type, const void *data, size_t n)
{
    struct cmsghdr_abi *c;
    size_t need = sizeof(*c) + n, space = ALIGN_UP(need, 8);

    if (m->control == NULL || m->control_used + need > m->control_length) {
        m->flags |= MSG_CTRUNC;
        return -ENOSPC;
    }
    c = (struct cmsghdr_abi *)((char *)m->control + m->control_used);
    c->length = need;
    c->level = level;
    c->type = type;
    memcpy(c + 1, data, n);
    m->control_used = MIN(m->control_used + space, m->control_length);
    return 0;
}
