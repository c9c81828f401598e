/* SOURCES: fs/ramfs.c fs/ramfs_dir.c fs/ramfs_file.c fs/pagetree.c fs/erofs.c fs/erofs_dir.c fs/vnode.c fs/path.c fs/vfs.c fs/dir_file.c fs/file.c fs/fd.c fs/poll.c sched/rwlock.c sched/mutex.c sched/lockstat.c tests/unit/host/host.c */
/* SANITIZE: thread */
/* Paths looked up, created, renamed, removed and listed by several threads at a time over an image, under ThreadSanitizer: readers of the tree run side by side, and a name of the
   image that is met for the first time is made once. */
#include <asm/stat.h>
#include <fs/file.h>
#include <fs/ramfs.h>
#include <fs/vfs.h>
#include <kernel/print.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <linux/fcntl.h>
#include "host/host.h"
#include "tap.h"

char *mkdtemp(char *template);
unsigned alarm(unsigned seconds);

#define THREADS 6
#define TREES 30
#define ROUNDS 60
#define DIRS 5
#define FILES 8

static _Atomic uint64_t ino_of[DIRS][FILES]; /* as first seen */
static _Atomic int ready;
static _Atomic long wrong, found, missed;

static unsigned rnd(unsigned n) { return (unsigned)(random_u64() >> 20) % n; }

static void expect(bool cond)
{
    wrong += !cond;
}

/* The image's files stay, each with its number, by any way that leads there. */
static void look_up(void)
{
    static const char *const ways[] = {"/d%u/f%u", "/d%u/./../d%u/f%u", "/links/l%u/f%u"};
    unsigned d = rnd(DIRS), f = rnd(FILES), way = rnd(3);
    char text[64];
    struct path p;
    if (way == 1)
        snprintf(text, sizeof(text), ways[1], rnd(DIRS), d, f);
    else
        snprintf(text, sizeof(text), ways[way], d, f);
    int r = vfs_lookup(AT_FDCWD, text, 0, 0, &p);
    expect(r == 0);
    if (r < 0)
        return;
    uint64_t none = 0, ino = p.vnode->ino;
    if (!atomic_compare_exchange_strong(&ino_of[d][f], &none, ino))
        expect(none == ino);
    path_put(&p);
}

static void open_and_close(void)
{
    char text[64];
    snprintf(text, sizeof(text), "/d%u/new%u", rnd(DIRS), rnd(3));
    int flags = rnd(2) ? O_RDONLY : O_RDWR | O_CREAT | (rnd(2) ? O_EXCL : 0);
    struct file *f = vfs_open(AT_FDCWD, text, flags, 0644);
    if (IS_ERR(f)) {
        expect(PTR_ERR(f) == (flags & O_CREAT ? -EEXIST : -ENOENT));
        missed++;
        return;
    }
    found++;
    file_put(f);
}

static void remove_one(void)
{
    char text[64];
    snprintf(text, sizeof(text), "/d%u/new%u", rnd(DIRS), rnd(3));
    int r = vfs_remove(AT_FDCWD, text, false);
    expect(r == 0 || r == -ENOENT);
}

static void make_and_remove_dir(void)
{
    char text[64];
    struct path p;
    snprintf(text, sizeof(text), "/d%u/sub", rnd(DIRS));
    (void)vfs_create(AT_FDCWD, text, S_IFDIR | 0755, NULL);
    int r = vfs_lookup(AT_FDCWD, text, 0, 0, &p);
    expect(r == 0 || r == -ENOENT);
    if (r == 0) {
        char path[64];
        rwlock_read_lock(&vfs_lock);
        int n = path_of(p.vnode, path, sizeof(path));
        rwlock_read_unlock(&vfs_lock);
        expect(n == -ENOENT || strcmp(path, text) == 0);
        path_put(&p);
    }
    r = vfs_remove(AT_FDCWD, text, true);
    expect(r == 0 || r == -ENOENT);
}

struct counter {
    struct vnode_dir_sink sink;
    unsigned of_image;
};

static bool count(struct vnode_dir_sink *s, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
    CONTAINER_OF(s, struct counter, sink)->of_image += len == 2 && name[0] == 'f';
    return true;
}

static void list(void)
{
    struct counter c = {.sink.entry = count};
    uint64_t cookie = 0;
    char text[64];
    struct path p;
    snprintf(text, sizeof(text), "/d%u", rnd(DIRS));
    if (vfs_lookup(AT_FDCWD, text, 0, 0, &p) < 0) {
        expect(false);
        return;
    }
    rwlock_read_lock(&vfs_lock);
    expect(p.vnode->ops->readdir(p.vnode, &cookie, &c.sink) == 0 && c.of_image == FILES);
    rwlock_read_unlock(&vfs_lock);
    path_put(&p);
}

static void worker(void *arg)
{
    for (ready++; ready < THREADS;)
        host_yield();
    for (int i = 0; i < ROUNDS; i++) {
        unsigned what = rnd(10);
        if (what < 5)
            look_up();
        else if (what < 7)
            open_and_close();
        else if (what < 8)
            remove_one();
        else if (what < 9)
            make_and_remove_dir();
        else
            list();
    }
}

static bool make_image(struct erofs *fs)
{
    char folder[] = "/tmp/singlet-vfst-XXXXXX", command[400];
    size_t size;
    if (!mkdtemp(folder))
        return false;
    snprintf(command, sizeof(command),
             "cd %s && mkdir t && cd t && mkdir links && for d in 0 1 2 3 4; do mkdir d$d; ln -s ../d$d links/l$d; "
             "for f in 0 1 2 3 4 5 6; do echo $d > d$d/f$f; done; ln d0/f0 d$d/f7; done && mkfs.erofs --quiet ../img . > /dev/null 2>&1",
             folder);
    if (host_run(command) != 0)
        return false;
    snprintf(command, sizeof(command), "%s/img", folder);
    void *image = host_read_file(command, &size);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    host_run(command);
    return image && erofs_open(fs, image, size) == 0;
}

int main(void)
{
    static struct erofs fs;
    struct host_thread *t[THREADS];
    alarm(900);
    if (!make_image(&fs)) {
        printf("1..0 # SKIP mkfs.erofs is missing\n");
        return 0;
    }
    for (int tree = 0; tree < TREES; tree++) { /* each with all its names to be met for the first time */
        ready = 0;
        vfs_root = ramfs_new(&fs);
        for (int i = 0; i < THREADS; i++)
            t[i] = host_spawn(worker, NULL);
        for (int i = 0; i < THREADS; i++)
            host_join(t[i]);
        vnode_put(vfs_root);
    }
    printf("# %ld opened, %ld not there or there already\n", (long)found, (long)missed);
    ok(wrong == 0 && found && missed, "each call finds a state of the tree that there was");
    ok(ino_of[0][0] == ino_of[3][7] && ino_of[0][0] == ino_of[0][7] && ino_of[0][0], "a file of the image with several names is one file");
    ok(host_allocated() == 0, "nothing is left behind");
    return done();
}
