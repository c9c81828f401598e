/* SOURCES: fs/fd.c fs/file.c fs/poll.c tests/unit/host/host.c */
/* The descriptor table: numbers, limits, lack of memory, and threads that open, use and close the same descriptors: every file is
   released exactly once, never while somebody uses it. */
#include <asm/errno.h>
#include <fs/file.h>
#include <kernel/random.h>
#include <mm/kmem.h>
#include "host/host.h"
#include "tap.h"

static _Atomic long live;

struct cell {
    _Atomic unsigned alive;
};

static void cell_release(struct file *f)
{
    struct cell *c = f->priv;
    atomic_store(&c->alive, 0);
    kfree(c);
    atomic_fetch_sub(&live, 1);
}
static const struct file_ops cell_ops = {.release = cell_release};

static struct file *cell_file(void)
{
    struct cell *c = kmalloc(sizeof(*c));
    struct file *f = c ? file_new(&cell_ops, 0, c) : NULL;
    if (!f) {
        kfree(c);
        return NULL;
    }
    atomic_store(&c->alive, 0x600d);
    atomic_fetch_add(&live, 1);
    return f;
}

static void test_numbers(void)
{
    bool right = true;
    for (int i = 0; i < 3000; i++)
        right &= fd_install(cell_file(), 0, i & 1) == i;
    ok(right, "descriptors are given out in order over several chunks");
    fd_close(1500);
    fd_close(7);
    ok(fd_install(cell_file(), 0, false) == 7, "the lowest free one is used first");
    ok(fd_install(cell_file(), 8, false) == 1500, "from a minimum on");
    ok(fd_install(cell_file(), 100000, false) == 100000, "far away");
    ok(fd_next_open(3000) == 100000 && fd_next_open(100001) == -1, "open ones are found");
    ok(fd_get_cloexec(8) == 0 && fd_get_cloexec(9) == 1 && fd_get_cloexec(5000) == -EBADF, "close-on-exec bits");
    ok(!fd_file(-1) && !fd_file(3001) && !fd_file(1 << 30) && !fd_file(__INT_MAX__), "no file where none is");
    ok(fd_close(3001) == -EBADF && fd_close(-1) == -EBADF, "closing nothing");
    struct file *f = cell_file();
    ok(fd_install_at(file_get(f), 50, false) == 50 && fd_file(50) == f, "dup2 replaces");
    file_put(f);
    file_put(f);
    fd_limit_set(3000);
    struct file *g = cell_file();
    ok(fd_install(g, 0, false) == -EMFILE, "the limit holds");
    ok(fd_install_at(g, 3000, false) == -EBADF, "the limit holds for dup2");
    fd_limit_set(FD_MAX);
    ok(fd_install(g, FD_MAX, false) == -EMFILE && fd_install(g, FD_MAX - 1, false) == FD_MAX - 1, "the last descriptor");
    fd_close_range(0, UINT32_MAX);
    ok(live == 0, "everything is released after close_range");
}

static void test_settle(void)
{
    struct file *f = cell_file();
    int fd = fd_install(f, 0, false);
    bool right = true;
    for (int i = 0; i < 300000; i++) {
        struct file *g = fd_file(fd);
        right &= g == f;
        file_put(g);
    }
    for (int i = 0; i < 200000; i++)
        right &= !fd_file(fd + 1);
    ok(right, "many references through one descriptor, and through an empty one");
    struct file *held[10000];
    for (int i = 0; i < 10000; i++)
        held[i] = fd_file(fd);
    fd_close(fd);
    ok(live == 1, "held references keep a closed file");
    for (int i = 0; i < 10000; i++)
        file_put(held[i]);
    ok(live == 0, "and their end ends it");
}

static void test_no_memory(void)
{
    struct file *f = cell_file();
    bool right = true;
    for (unsigned n = 1; n <= 2; n++) {
        host_fail_allocation(n);
        right &= fd_install(f, 500000, false) == -ENOMEM;
    }
    host_fail_allocation(0);
    ok(right, "no memory for a chunk is an error");
    ok(fd_install(f, 500000, false) == 500000, "and then it works");
    fd_close(500000);
}

#define THREADS 6
#define DESCRIPTORS 8
static _Atomic bool wrong;

static void hammer(void *arg)
{
    uint64_t r = (uint64_t)arg * 77 + 1;
    for (int i = 0; i < 60000; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        int fd = (int)(r >> 33) % DESCRIPTORS;
        switch (r >> 60) {
        case 0: {
            struct file *f = cell_file();
            if (fd_install_at(f, fd, false) < 0)
                file_put(f);
            break;
        }
        case 1:
            fd_close(fd);
            break;
        case 2: { /* dup */
            struct file *f = fd_file(fd);
            if (f && fd_install_at(f, (fd + 3) % DESCRIPTORS, false) < 0)
                file_put(f);
            break;
        }
        default: {
            struct file *f = fd_file(fd);
            if (f) {
                if (atomic_load(&((struct cell *)f->priv)->alive) != 0x600d)
                    atomic_store(&wrong, true);
                file_put(f);
            }
        }
        }
    }
}

int main(void)
{
    test_numbers();
    test_settle();
    test_no_memory();
    struct host_thread *t[THREADS];
    for (uint64_t i = 0; i < THREADS; i++)
        t[i] = host_spawn(hammer, (void *)i);
    for (int i = 0; i < THREADS; i++)
        host_join(t[i]);
    ok(!wrong, "no thread met a file after its end");
    fd_close_range(0, UINT32_MAX);
    ok(live == 0, "no file was lost");
    return done();
}
