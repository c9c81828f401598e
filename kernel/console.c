/* The console's line discipline over the serial port: output goes straight through; input is collected into lines with echo, erase (backspace, DEL), kill (Ctrl-U) and end of
   file (Ctrl-D), carriage return becomes newline.

   The interrupt handler moves received bytes into a ring and wakes the thread "console", which edits lines and wakes readers. That thread, and the interrupt, exist only once somebody
   reads or polls the console: a server never pays for them. */
#include <arch/irq.h>
#include <arch/serial.h>
#include <asm/errno.h>
#include <fs/poll.h>
#include <kernel/console.h>
#include <kernel/log.h>
#include <kernel/ring_spsc.h>
#include <kernel/string.h>
#include <sched/thread.h>
#include <sched/waitq.h>

#define RAW_SIZE 256u /* power of two */
#define LINES_SIZE 4096u
#define LINE_MAX 1024u

RING_SPSC(raw, uint8_t, RAW_SIZE); /* from the interrupt handler to the console thread */
static struct thread *editor;      /* set before the interrupt is on */

static struct mutex lock = MUTEX_INIT; /* protects all below */
static struct waitq readers = WAITQ_INIT(readers);
static struct poll_source source;
static char lines[LINES_SIZE]; /* complete lines, a ring */
static unsigned lines_head, lines_tail;
static unsigned ends;      /* Ctrl-D on an empty line: reads that return 0 */
static bool started;

void console_write(const char *data, size_t n) { serial_write(data, n); }

/* What comes while the ring is full is lost, as on a line without flow control. */
static void receive(void *arg)
{
    int c;
    while ((c = serial_read()) >= 0)
        (void)ring_spsc_put(&raw, &(uint8_t){(uint8_t)c});
    thread_wake(editor);
}

static void deliver(const char *line, unsigned n)
{
    mutex_lock(&lock);
    if (!n)
        ends++;
    for (unsigned i = 0; i < n && lines_head - lines_tail < LINES_SIZE; i++)
        lines[lines_head++ % LINES_SIZE] = line[i];
    waitq_wake_all(&readers);
    mutex_unlock(&lock);
    poll_source_notify(&source, EPOLLIN);
}

static unsigned edit(char *line, unsigned n, int c)
{
    char ch = c == '\r' ? '\n' : (char)c;
    if (ch == '\n') {
        serial_write("\n", 1);
        line[n++] = '\n';
        deliver(line, n);
        return 0;
    }
    if (ch == 4) { /* Ctrl-D */
        deliver(line, n);
        return 0;
    }
    if (ch == 8 || ch == 127) {
        if (n)
            serial_write("\b \b", 3);
        return n ? n - 1 : 0;
    }
    if (ch == 21) { /* Ctrl-U */
        for (; n; n--)
            serial_write("\b \b", 3);
        return 0;
    }
    if (n < LINE_MAX - 1 && ((unsigned char)ch >= ' ' || ch == '\t')) {
        serial_write(&ch, 1);
        line[n++] = ch;
    }
    return n;
}

static void editor_thread(void *arg)
{
    static char line[LINE_MAX];
    unsigned n = 0;
    uint8_t c;
    for (;;) {
        if (ring_spsc_take(&raw, &c)) {
            n = edit(line, n, c);
            continue;
        }
        thread_wait_prepare();
        if (ring_spsc_empty(&raw))
            thread_wait();
        else
            thread_wait_cancel();
    }
}

/* lock held */
static void start_input(void)
{
    if (started)
        return;
    started = true;
    poll_source_init(&source);
    editor = thread_create("console", editor_thread, NULL);
    if (!editor) {
        log_warn("console: no input: no memory for its thread");
        return;
    }
    int err = serial_irq_enable(receive); /* what came before raises it at once */
    if (err)
        log_warn("console: no input: error %d", err);
}

bool console_readable(void)
{
    mutex_lock(&lock);
    start_input();
    bool ready = lines_head != lines_tail || ends;
    mutex_unlock(&lock);
    return ready;
}

struct poll_source *console_poll_source(void)
{
    mutex_lock(&lock);
    start_input();
    mutex_unlock(&lock);
    return &source;
}

ssize_t console_read(char *data, size_t n, bool nonblock)
{
    ssize_t result = 0;
    mutex_lock(&lock);
    start_input();
    while (lines_head == lines_tail && !ends) {
        result = nonblock ? -EAGAIN : waitq_wait(&readers, &lock, TIME_NEVER, true);
        if (result)
            goto out;
    }
    if (lines_head == lines_tail)
        ends--;
    while ((size_t)result < n && lines_head != lines_tail) {
        char c = lines[lines_tail++ % LINES_SIZE];
        data[result++] = c;
        if (c == '\n')
            break;
    }
out:
    mutex_unlock(&lock);
    return result;
}
