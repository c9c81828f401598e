/* /dev/console and /dev/tty: the console as files. Each open file relays the console's notifications to its own poll_source, so that watches on it
   end with it. Terminal settings are kept and reported, which is what isatty and programs that ask for the size want; changing them does
   not change the line discipline. Writes go out in one call for each buffer, so lines of different threads do not mix. */
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <fs/file.h>
#include <fs/synthfs.h>
#include <fs/vfs.h>
#include <kernel/console.h>
#include <kernel/string.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <mm/kmem.h>

struct console_file {
    struct poll_watch watch; /* on the console's source */
    struct file *file;
    bool relaying; /* with pos_lock */
};

static struct mutex settings_lock = MUTEX_INIT;
static struct termios settings = { /* protected by settings_lock */
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = CS8 | CREAD | B115200,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK,
    .c_cc = {[VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1},
};
static struct winsize window = {.ws_row = 24, .ws_col = 80};

static ssize_t console_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    bool nonblock = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len) /* one buffer is enough: a terminal gives a line at a time */
            return console_read(iov[i].iov_base, iov[i].iov_len, nonblock);
    }
    return 0;
}

static ssize_t console_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        console_write(iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    return (ssize_t)n;
}

static bool relay(struct poll_watch *w, uint32_t events)
{
    poll_source_notify(&CONTAINER_OF(w, struct console_file, watch)->file->poll_source, events);
    return true;
}

static uint32_t console_poll(struct file *f)
{
    struct console_file *c = f->priv;
    mutex_lock(&f->pos_lock);
    if (!c->relaying) {
        c->relaying = true;
        poll_watch_add(console_poll_source(), &c->watch);
    }
    mutex_unlock(&f->pos_lock);
    return EPOLLOUT | EPOLLWRNORM | (console_readable() ? EPOLLIN | EPOLLRDNORM : 0);
}

static void console_release(struct file *f)
{
    struct console_file *c = f->priv;
    if (c && c->relaying)
        poll_watch_remove(&c->watch);
    kfree(c);
}

static int console_ioctl(struct file *f, unsigned long request, unsigned long arg)
{
    void *p = (void *)arg;
    bool get = request == TCGETS || request == TIOCGWINSZ;
    bool size = request == TIOCGWINSZ || request == TIOCSWINSZ;
    if (!get && !size && (request < TCSETS || request > TCSETSF))
        return request == TCFLSH || request == TIOCSCTTY ? 0 : -ENOTTY;
    if (!user_range_ok(p, size ? sizeof(window) : sizeof(settings)))
        return -EFAULT;
    mutex_lock(&settings_lock);
    if (size)
        memcpy(get ? p : &window, get ? (void *)&window : p, sizeof(window));
    else
        memcpy(get ? p : &settings, get ? (void *)&settings : p, sizeof(settings));
    mutex_unlock(&settings_lock);
    return 0;
}

static struct file *console_open(struct vnode *v, int flags);

static const struct file_ops console_ops = {.readv = console_readv, .writev = console_writev,
    .poll = console_poll, .ioctl = console_ioctl, .release = console_release};

static struct file *console_open(struct vnode *v, int flags)
{
    struct console_file *c = kzalloc(sizeof(*c));
    struct file *f = c ? file_new(&console_ops, flags, c) : NULL;
    if (!f) {
        kfree(c);
        return ERR_PTR(-ENOMEM);
    }
    c->watch.notify = relay;
    c->file = f;
    return f;
}

SYNTH_FILE(dev_console, .path = "/dev/console", .mode = S_IFCHR | 0620, .rdev = DEV(5, 1),
           .open = console_open);
SYNTH_FILE(dev_tty, .path = "/dev/tty", .mode = S_IFCHR | 0666, .rdev = DEV(5, 0), .open = console_open);

int console_install_stdio(void)
{
    struct file *f = vfs_open(AT_FDCWD, "/dev/console", O_RDWR, 0);
    if (IS_ERR(f))
        return (int)PTR_ERR(f);
    int r = 0;
    for (int fd = 0; fd < 3 && r >= 0; fd++) {
        r = fd_install_at(file_get(f), fd, false);
        if (r < 0)
            file_put(f);
    }
    file_put(f);
    return MIN(r, 0);
}
