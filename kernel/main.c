/* Boot order. kernel_main runs on the boot stack, which becomes the idle thread; the thread "init" runs the stages that may sleep, and then becomes the program's
   main thread. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/serial.h>
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <drivers/driver.h>
#include <kernel/boot.h>
#include <kernel/clock.h>
#include <kernel/cmdline.h>
#include <kernel/console.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/option.h>
#include <fs/vfs.h>
#include <kernel/main.h>
#include <kernel/panic.h>
#include <kernel/program.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <mm/page_init.h>
#include <mm/vm.h>
#include <sched/internal.h>

#define USAGE_STATUS 2 /* exit status for a wrong command line */

static const char *working_directory = "/";
static char *words[CMDLINE_MAX_WORDS + 1];
static int word_count, program_index;

static int set_cwd(const char *value)
{
    working_directory = value;
    return *value ? 0 : -EINVAL;
}
OPTION(cwd, .name = "cwd", .argument = "PATH", .help = "the program's working directory", .handle = set_cwd);

static void read_command_line(void)
{
    static char line[BOOT_CMDLINE_MAX]; /* words point into it for good */
    strlcpy(line, boot_info.cmdline, sizeof(line));
    word_count = boot_info.cmdline_truncated ? -E2BIG : cmdline_split(line, words, CMDLINE_MAX_WORDS);
    if (word_count < 0) {
        report_printf("command line: %s\n", word_count == -E2BIG ? "too long" : "a quote is not closed");
        machine_power_off(USAGE_STATUS);
    }
    program_index = cmdline_options(words, &word_count);
    if (program_index < 0)
        machine_power_off(program_index == -ECANCELED ? 0 : USAGE_STATUS);
    if (program_index == word_count) { /* no program: what the image was built with */
        extern const char __cmdline_start[], __cmdline_end[];
        static char preset[BOOT_CMDLINE_MAX];
        size_t n = MIN((size_t)(__cmdline_end - __cmdline_start), sizeof(preset) - 1);
        memcpy(preset, __cmdline_start, n);
        int more = cmdline_split(preset, words + program_index, CMDLINE_MAX_WORDS - program_index);
        if (more <= 0) {
            report_printf("command line: no program given, and the image has no default\n");
            machine_power_off(USAGE_STATUS);
        }
        word_count += more;
    }
    words[word_count] = NULL;
}

static void init_thread(void *arg)
{
    init_run(INIT_BUS);
    init_run(INIT_FS);
    init_run(INIT_NET);
    init_run(INIT_DRIVER);
    init_run(INIT_LATE);
    if (console_install_stdio())
        panic("init: no console");
    int err = vfs_chdir(working_directory);
    if (err) {
        report_printf("command line: --cwd=%s: error %d\n", working_directory, -err);
        machine_power_off(USAGE_STATUS);
    }
    log_info("boot: starting %s", words[program_index]);
    program_start(words + program_index, cmdline_environment());
}

void kernel_main(void)
{
    serial_init();
    cpu_init_boot();
    cpu_detect();
    int err = page_init(&boot_info);
    if (!err)
        err = paging_init(&boot_info);
    if (err) {
        report_printf("boot: not enough memory: %u ranges, the image ends at %lu KiB\n", boot_info.range_count,
                      boot_info.image_end >> 10);
        machine_power_off(1);
    }
    page_init_rest(&boot_info);
    kmem_init();
    (void)acpi_init(); /* without ACPI: the PC's defaults */
    if (irq_init())
        panic("boot: interrupt controllers: no memory");
    sched_init();
    random_init();
    vm_init();
    init_run(INIT_EARLY);
    log_info("Singlet: %s, %lu MiB, %s", boot_info.protocol, page_total_bytes() >> 20, cpu_features.brand);
    read_command_line();
    struct thread *t = program_main_thread(init_thread);
    if (!t)
        panic("boot: no memory for the first thread");
    thread_start(t);
    sched_idle();
}
