/* Command line: words, options, environment. Options are registered with OPTION() where they belong; here are those of the kernel itself.
   QEMU appends virtio_mmio.device=SIZE@BASE:IRQ words for microvm without ACPI, also behind the program's arguments: they are taken out wherever they are. */
#include <asm/errno.h>
#include <drivers/virtio_mmio.h>
#include <kernel/cmdline.h>
#include <kernel/log.h>
#include <kernel/option.h>
#include <kernel/panic.h>
#include <kernel/string.h>

#define ENV_MAX 64
#define MMIO_PREFIX "virtio_mmio.device="

static char *environment[ENV_MAX + 1] = {"HOME=/", "PATH=/bin:/usr/bin", "TERM=dumb"};
static unsigned environment_count = 3;

int cmdline_split(char *line, char **words, int max)
{
    int n = 0;
    char *in = line, *out = line;
    for (;;) {
        while (*in == ' ' || *in == '\t' || *in == '\n')
            in++;
        if (!*in)
            return n;
        if (n == max)
            return -E2BIG;
        words[n++] = out;
        for (char quote = 0; *in && (quote || (*in != ' ' && *in != '\t' && *in != '\n')); in++) {
            if (quote && *in == quote)
                quote = 0;
            else if (!quote && (*in == '"' || *in == '\''))
                quote = *in;
            else if (*in == '\\' && quote != '\'' && in[1])
                *out++ = *++in;
            else
                *out++ = *in;
            if (quote && !in[1])
                return -EINVAL;
        }
        bool end = !*in;
        *out++ = 0;
        if (end)
            return n;
        in++;
    }
}

static void list_options(void)
{
    report_printf("usage: [--option=value ...] [program arguments ...]\noptions:\n");
    LINKER_TABLE_FOREACH(option, struct option, o)
        report_printf("  --%s%s%-*s %s\n", o->name, o->argument ? "=" : "", 24 - (int)strlen(o->name),
                      o->argument ? o->argument : "", o->help);
}

static int handle(char *word)
{
    char *value = strchr(word, '=');
    size_t n = value ? (size_t)(value - word) : strlen(word);
    if (value)
        value++;
    LINKER_TABLE_FOREACH(option, struct option, o) {
        if (strlen(o->name) != n || strncmp(o->name, word, n))
            continue;
        if (!o->argument && value) {
            report_printf("command line: --%s takes no value\n", o->name);
            return -EINVAL;
        }
        if (o->argument && !value) {
            report_printf("command line: --%s needs a value: --%s=%s\n", o->name, o->name, o->argument);
            return -EINVAL;
        }
        int err = o->handle(value);
        if (err && err != -ECANCELED)
            report_printf("command line: --%s=%s is not valid: expected %s\n", o->name, value ? value : "",
                          o->argument ? o->argument : "no value");
        return err;
    }
    report_printf("command line: unknown option --%s\n", word);
    list_options();
    return -EINVAL;
}

int cmdline_options(char **words, int *count)
{
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        if (strncmp(words[i], MMIO_PREFIX, strlen(MMIO_PREFIX)))
            words[kept++] = words[i];
        else if (virtio_mmio_cmdline(words[i] + strlen(MMIO_PREFIX)))
            log_warn("command line: %s is not understood", words[i]);
    }
    *count = kept;
    int i = 0;
    for (; i < *count && !strncmp(words[i], "--", 2); i++) {
        if (!words[i][2])
            return i + 1; /* "--" ends the options */
        int err = handle(words[i] + 2);
        if (err)
            return err;
    }
    return i;
}

char **cmdline_environment(void) { return environment; }

static int set_env(const char *value)
{
    const char *eq = strchr(value, '=');
    if (!eq || eq == value)
        return -EINVAL;
    for (unsigned i = 0; i < environment_count; i++) {
        if (!strncmp(environment[i], value, (size_t)(eq - value) + 1)) {
            environment[i] = (char *)value;
            return 0;
        }
    }
    if (environment_count == ENV_MAX)
        return -E2BIG;
    environment[environment_count++] = (char *)value; /* words live as long as the machine */
    return 0;
}

static int set_verbose(const char *value)
{
    log_set_console_level(LOG_DEBUG);
    return 0;
}

static int show_help(const char *value)
{
    list_options();
    return -ECANCELED;
}

OPTION(env, .name = "env", .argument = "NAME=VALUE", .help = "sets a variable of the program's environment", .handle = set_env);
OPTION(verbose, .name = "verbose", .help = "shows the whole kernel log on the console", .handle = set_verbose);
OPTION(help, .name = "help", .help = "lists the options and ends", .handle = show_help);
