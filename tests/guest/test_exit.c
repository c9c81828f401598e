/* exit(): functions given to atexit run in reverse order, after which the runner prints the plan. Must be the last test. */
#include "check.h"
#include <fcntl.h>

static int step;
static int stream_fd = -1;
static FILE *stream;

static void first(void) { equal(step, 2, "atexit: the first one runs last"); }
static void second(void) { equal(step++, 1, "atexit: in reverse order"); }
static void third(void)
{
    equal(step++, 0, "atexit: the last one runs first");
    char c = 0;
    pread(stream_fd, &c, 1, 0);
    equal(c, 0, "streams are not flushed yet");
}

static void order(void)
{
    atexit(first);
    atexit(second);
    atexit(third);
    stream = fopen("at-exit", "w");
    fputs("x", stream);
    stream_fd = open("at-exit", O_RDONLY);
    check(stream && stream_fd >= 0, "prepared");
}

int main(void)
{
    run(order);
    return 0;
}
