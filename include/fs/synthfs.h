/* Files that are code: /proc, /sys and /dev. One line in any file adds one:

       SYNTH_FILE(proc_uptime, .path = "/proc/uptime", .show = show_uptime);
       SYNTH_FILE(dev_null, .path = "/dev/null", .mode = S_IFCHR | 0666, .rdev = DEV(1, 3), .ops = &null_ops);

   Directories exist by being part of a path. */
#ifndef FS_SYNTHFS_H
#define FS_SYNTHFS_H

#include <fs/textbuf.h>
#include <fs/vnode.h>

struct file_ops;

struct synth_entry {
    const char *path;  /* absolute, constant */
    uint32_t mode;     /* 0: a regular file, 0444 (0644 with store) */
    uint32_t rdev;
    /* A text file: show makes the content, at each read from its start. store takes a write as a whole: 0 or a negative errno. */
    void (*show)(struct textbuf *t);
    int (*store)(const char *text, size_t len);
    /* A '#' in the path stands for each number of those that exist: next gives the smallest one after n, -1: there is none. Instead of show: */
    long (*next)(long n);
    void (*show_of)(struct textbuf *t, long number);
    /* A symbolic link (mode S_IFLNK | 0777): makes the target; the length or a negative errno. */
    ssize_t (*link)(char *buf, size_t size);
    const char *target; /* or a constant one */
    /* A device: the operations of files opened on it, or a function that opens one. */
    const struct file_ops *ops;
    struct file *(*open)(struct vnode *v, int flags);
    /* A directory (mode S_IFDIR | 0555) with operations of its own for lookup and readdir. */
    const struct vnode_ops *dir;
};
#define SYNTH_FILE(id, ...) LINKER_TABLE(synth, struct synth_entry, id) = {__VA_ARGS__}

#define DEV(major, minor) ((uint32_t)(major) << 8 | (minor))

/* v is a text file of the table. */
bool synthfs_is_text(const struct vnode *v);

/* The root of the part of the table below prefix ("/proc"). ERR_PTR(-ENOMEM). */
struct vnode *synthfs_new(const char *prefix);

/* Operations for the vnodes of directories with operations of their own. */
struct vnode *synthfs_parent(struct vnode *v);
int synthfs_path(struct vnode *v, char *buf, size_t size);
void synthfs_getattr(struct vnode *v, struct vnode_attr *attr);
void synthfs_statfs(struct vnode *v, struct statfs *st);
void synthfs_release(struct vnode *v);

#endif
