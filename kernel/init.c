/* Runs the registered start-up functions, stage by stage. */
#include <kernel/init.h>

void init_run(int stage)
{
    LINKER_TABLE_FOREACH(init, struct init_entry, e)
        if (e->stage == stage)
            e->fn();
}
