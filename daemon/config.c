/* daemon/config.c — the options of linkd, from one table.
 *
 * A flag "--max-body 64M" and a line "max-body = 64M" of the config file are the
 * same option: the table says what its value may be, what it is by default and
 * what help says about it. Defaults go through the same parser as what people
 * write. The order is defaults, file, flags; a later one wins, but within the
 * file or the flags an option is given once: of two lines that contradict each
 * other neither is what was meant.
 *
 * What needs the system (users, sockets, the token) is checked by who uses it. */
#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_MAX_BYTES ((size_t)1 << 20) /* guess: far above any real one */

#define KIB (UINT64_C(1) << 10)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

typedef enum option_kind {
    OPTION_TEXT,    /* char * */
    OPTION_COUNT,   /* size_t */
    OPTION_COUNT64, /* uint64_t */
    OPTION_BYTES,   /* size_t */
    OPTION_BYTES64, /* uint64_t */
    OPTION_SECONDS, /* uint64_t, in milliseconds */
    OPTION_OCTAL,   /* unsigned int */
    OPTION_WORD,    /* int: its place among the words */
    OPTION_EITHER,  /* bool: it is the second word */
} option_kind;

typedef struct config_option {
    const char *name;
    const char *value; /* what help calls it */
    option_kind kind;
    size_t offset;       /* in lk_config */
    const char *initial; /* as a person would write it; NULL: none */
    uint64_t min, max;
    const char *words[5]; /* NULL ends them */
    const char *help;
} config_option;

#define AT(member) offsetof(lk_config, member)

static const config_option options[] = {
    {.name = "data",
     .value = "DIR",
     .kind = OPTION_TEXT,
     .offset = AT(data),
     .initial = "/var/lib/linkd",
     .help = "where everything is kept; made if absent"},
    {.name = "socket",
     .value = "PATH",
     .kind = OPTION_TEXT,
     .offset = AT(socket),
     .initial = "/run/linkd/linkd.sock",
     .help = "the Unix socket; systemd's sockets come first"},
    {.name = "socket-mode",
     .value = "MODE",
     .kind = OPTION_OCTAL,
     .offset = AT(socket_mode),
     .initial = "0660",
     .max = 0777,
     .help = "who may connect to it, in octal"},
    {.name = "listen",
     .value = "ADDRESS:PORT",
     .kind = OPTION_TEXT,
     .offset = AT(listen),
     .help = "TCP as well, for this machine only"},
    {.name = "token-file",
     .value = "FILE",
     .kind = OPTION_TEXT,
     .offset = AT(token_file),
     .help = "the bearer token that TCP requires"},
    {.name = "model",
     .value = "NAME",
     .kind = OPTION_TEXT,
     .offset = AT(model),
     .initial = "all-MiniLM-L6-v2",
     .help = "the encoder of collections that name none"},
    {.name = "log-file",
     .value = "FILE",
     .kind = OPTION_TEXT,
     .offset = AT(log_file),
     .help = "instead of standard error; SIGHUP reopens it"},
    {.name = "log-format",
     .value = "text|json",
     .kind = OPTION_EITHER,
     .offset = AT(log_json),
     .initial = "text",
     .words = {"text", "json"},
     .help = "of a log line"},
    {.name = "log-level",
     .value = "error|warn|info|debug",
     .kind = OPTION_WORD,
     .offset = AT(log_level),
     .initial = "info",
     .words = {"error", "warn", "info", "debug"},
     .help = "the least that is logged"},
    {.name = "admin-user",
     .value = "NAME,...",
     .kind = OPTION_TEXT,
     .offset = AT(admin_users),
     .help = "users who may do everything"},
    {.name = "write-group",
     .value = "NAME,...",
     .kind = OPTION_TEXT,
     .offset = AT(write_groups),
     .help = "groups that may read and write"},
    {.name = "read-group",
     .value = "NAME,...",
     .kind = OPTION_TEXT,
     .offset = AT(read_groups),
     .help = "groups that may read"},
    {.name = "encode-threads",
     .value = "N",
     .kind = OPTION_COUNT,
     .offset = AT(n_encode_threads),
     .initial = "0",
     .max = 1024,
     .help = "per model; 0: one per processor"},
    {.name = "search-threads",
     .value = "N",
     .kind = OPTION_COUNT,
     .offset = AT(n_search_threads),
     .initial = "0",
     .max = 1024,
     .help = "requests served at once; 0: by processors"},
    {.name = "build-threads",
     .value = "N",
     .kind = OPTION_COUNT,
     .offset = AT(n_build_threads),
     .initial = "0",
     .max = 1024,
     .help = "that build indexes; 0: one per processor"},
    {.name = "cascade-rate",
     .value = "N",
     .kind = OPTION_COUNT,
     .offset = AT(cascade_rate),
     .initial = "100",
     .max = 1000000,
     .help = "records a second that searches move to a new model"},
    {.name = "exact-below",
     .value = "N",
     .kind = OPTION_COUNT64,
     .offset = AT(exact_below),
     .initial = "50000",
     .min = 1,
     .max = UINT64_C(1) << 32,
     .help = "vectors: smaller collections get no index"},
    {.name = "max-database",
     .value = "BYTES",
     .kind = OPTION_BYTES64,
     .offset = AT(map_bytes),
     .initial = "1T",
     .min = UINT64_C(1) << 20,
     .max = 64 * TIB, /* of the 128 TiB that a process can address */
     .help = "that the database may grow to"},
    {.name = "max-connections",
     .value = "N",
     .kind = OPTION_COUNT,
     .offset = AT(max_connections),
     .initial = "16384",
     .min = 1,
     .max = 1000000,
     .help = "at once"},
    {.name = "max-body",
     .value = "BYTES",
     .kind = OPTION_BYTES,
     .offset = AT(max_body),
     .initial = "128M",
     .min = KIB,
     .max = GIB,
     .help = "of one request"},
    {.name = "max-upload",
     .value = "BYTES",
     .kind = OPTION_BYTES,
     .offset = AT(max_upload),
     .initial = "16G",
     .min = KIB,
     .max = TIB,
     .help = "of one file that is uploaded for a job"},
    {.name = "idle-timeout",
     .value = "SECONDS",
     .kind = OPTION_SECONDS,
     .offset = AT(idle_timeout_ms),
     .initial = "75",
     .min = 1,
     .max = 86400,
     .help = "until a connection without requests is closed"},
    {.name = "request-timeout",
     .value = "SECONDS",
     .kind = OPTION_SECONDS,
     .offset = AT(request_timeout_ms),
     .initial = "30",
     .min = 1,
     .max = 86400,
     .help = "for requests that do not say how long they wait"},
};
#define N_OPTIONS (sizeof(options) / sizeof(*options))
_Static_assert(N_OPTIONS <= 64, "one bit each in `seen`");

/* ---- values ------------------------------------------------------------- */

static void *slot_of(lk_config *config, const config_option *option)
{
    return (char *)config + option->offset;
}

static int text_take(linkd_str text, char **slot, linkd_error *err)
{
    char *copy = strndup(text.bytes, text.len);

    if (copy == NULL)
        return lk_fail_nomem(err);
    free(*slot);
    *slot = copy;
    return LINKD_OK;
}

/* The digits that `text` begins with, as a number of that base. Stops at what
 * is no digit; too large a number stays UINT64_MAX. */
static size_t number_scan(linkd_str text, unsigned base, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t at = 0;

    for (; at < text.len && text.bytes[at] >= '0' &&
           (unsigned)(text.bytes[at] - '0') < base;
         at++) {
        unsigned digit = (unsigned)(text.bytes[at] - '0');

        number = number > (UINT64_MAX - digit) / base ? UINT64_MAX
                                                      : number * base + digit;
    }
    *ret_number = number;
    return at;
}

/* How far K, M, G or T shifts; 0 for anything else. */
static unsigned unit_shift(linkd_str unit)
{
    static const char units[] = "KMGT";
    const char *found;

    if (unit.len != 1 || unit.bytes[0] == '\0')
        return 0;
    found = strchr(units, unit.bytes[0]);
    return found == NULL ? 0 : 10 * (unsigned)(found - units + 1);
}

static int number_parse(const config_option *option, linkd_str text,
                        uint64_t *ret_number, linkd_error *err)
{
    bool is_size =
        option->kind == OPTION_BYTES || option->kind == OPTION_BYTES64;
    uint64_t number;
    size_t n_digits =
        number_scan(text, option->kind == OPTION_OCTAL ? 8 : 10, &number);
    linkd_str unit = {text.bytes + n_digits, text.len - n_digits};
    unsigned shift = is_size ? unit_shift(unit) : 0;

    if (n_digits == 0 || (unit.len > 0 && shift == 0))
        return lk_fail(err, LINKD_E_ARG, "%s: \"%.*s\" is not a %s",
                       option->name, (int)text.len, text.bytes,
                       is_size                        ? "size such as 64M"
                       : option->kind == OPTION_OCTAL ? "mode such as 0660"
                                                      : "whole number");
    if (number > option->max >> shift || number << shift < option->min)
        return lk_fail(
            err, LINKD_E_ARG,
            option->kind == OPTION_OCTAL
                ? "%s: %.*s is not between %04" PRIo64 " and %04" PRIo64
                : "%s: %.*s is not between %" PRIu64 " and %" PRIu64,
            option->name, (int)text.len, text.bytes, option->min, option->max);
    *ret_number = number << shift;
    return LINKD_OK;
}

static int word_parse(const config_option *option, linkd_str text,
                      int *ret_word, linkd_error *err)
{
    for (int i = 0; option->words[i] != NULL; i++) {
        if (strlen(option->words[i]) == text.len &&
            memcmp(option->words[i], text.bytes, text.len) == 0) {
            *ret_word = i;
            return LINKD_OK;
        }
    }
    return lk_fail(err, LINKD_E_ARG, "%s: \"%.*s\" is not one of %s",
                   option->name, (int)text.len, text.bytes, option->value);
}

static void number_store(option_kind kind, uint64_t number, void *slot)
{
    if (kind == OPTION_BYTES64 || kind == OPTION_COUNT64)
        *(uint64_t *)slot = number;
    else if (kind == OPTION_SECONDS)
        *(uint64_t *)slot = number * 1000;
    else if (kind == OPTION_OCTAL)
        *(unsigned int *)slot = (unsigned int)number;
    else
        *(size_t *)slot = (size_t)number;
}

static int value_set(lk_config *config, const config_option *option,
                     linkd_str text, linkd_error *err)
{
    void *slot = slot_of(config, option);
    uint64_t number = 0;
    int word = 0;
    int rc;

    if (text.len == 0)
        return lk_fail(err, LINKD_E_ARG, "%s: the value is empty",
                       option->name);
    if (option->kind == OPTION_TEXT)
        return text_take(text, slot, err);
    if (option->kind == OPTION_WORD || option->kind == OPTION_EITHER)
        rc = word_parse(option, text, &word, err);
    else
        rc = number_parse(option, text, &number, err);
    if (rc != LINKD_OK)
        return rc;
    if (option->kind == OPTION_WORD)
        *(int *)slot = word;
    else if (option->kind == OPTION_EITHER)
        *(bool *)slot = word == 1;
    else
        number_store(option->kind, number, slot);
    return LINKD_OK;
}

static const config_option *option_find(linkd_str name)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (strlen(options[i].name) == name.len &&
            memcmp(options[i].name, name.bytes, name.len) == 0)
            return &options[i];
    }
    return NULL;
}

/* One option of the file or the flags. `seen` has a bit for each that came
 * before. */
static int option_set(lk_config *config, uint64_t *seen, linkd_str name,
                      linkd_str value, linkd_error *err)
{
    const config_option *option = option_find(name);
    uint64_t bit;

    if (option == NULL)
        return lk_fail(err, LINKD_E_ARG, "%.*s: there is no such option",
                       (int)name.len, name.bytes);
    bit = UINT64_C(1) << (option - options);
    if ((*seen & bit) != 0)
        return lk_fail(err, LINKD_E_ARG, "%s: given twice", option->name);
    *seen |= bit;
    return value_set(config, option, value, err);
}

/* ---- the file ----------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static linkd_str trim(linkd_str text)
{
    while (text.len > 0 && is_blank(text.bytes[0])) {
        text.bytes++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.bytes[text.len - 1]))
        text.len--;
    return text;
}

static int line_parse(lk_config *config, uint64_t *seen, linkd_str line,
                      linkd_error *err)
{
    linkd_str name, value;
    const char *equals;

    line = trim(line);
    if (line.len == 0 || line.bytes[0] == '#')
        return LINKD_OK;
    if (lk_utf8_check(line.bytes, line.len) < line.len)
        return lk_fail(err, LINKD_E_ARG, "this is not UTF-8 text");
    equals = memchr(line.bytes, '=', line.len);
    if (equals == NULL)
        return lk_fail(err, LINKD_E_ARG, "this is not \"name = value\"");
    name.bytes = line.bytes;
    name.len = (size_t)(equals - line.bytes);
    value.bytes = equals + 1;
    value.len = line.len - name.len - 1;
    return option_set(config, seen, trim(name), trim(value), err);
}

int lk_config_parse(linkd_str text, const char *path, lk_config *config,
                    linkd_error *err)
{
    uint64_t seen = 0;

    for (size_t row = 1; text.len > 0; row++) {
        const char *end = memchr(text.bytes, '\n', text.len);
        linkd_str line = {text.bytes,
                          end == NULL ? text.len : (size_t)(end - text.bytes)};
        linkd_error why;
        int rc = line_parse(config, &seen, line, &why);

        if (rc != LINKD_OK)
            return lk_fail(err, rc, "%s line %zu: %s", path, row, why.message);
        text.bytes += line.len + (end != NULL);
        text.len -= line.len + (end != NULL);
    }
    return LINKD_OK;
}

static int fail_unreadable(const char *path, linkd_error *err)
{
    return lk_fail(err, LINKD_E_ARG, "could not read config %s: %s", path,
                   strerror(errno));
}

/* At most CONFIG_MAX_BYTES: --config /dev/zero must end, too. */
static int file_read(const char *path, lk_buf *ret_text, linkd_error *err)
{
    char chunk[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = LINKD_OK;
    ssize_t n;

    if (fd < 0)
        return fail_unreadable(path, err);
    do {
        n = read(fd, chunk, sizeof(chunk));
        if (n < 0)
            rc = fail_unreadable(path, err);
        else if (ret_text->len + (size_t)n > CONFIG_MAX_BYTES)
            rc = lk_fail(err, LINKD_E_ARG, "config %s is too large", path);
        else
            rc = lk_buf_append(ret_text, chunk, (size_t)n, err);
    } while (rc == LINKD_OK && n > 0);
    (void)close(fd);
    return rc;
}

static int file_parse(const char *path, lk_config *config, linkd_error *err)
{
    lk_buf text = {0};
    int rc = file_read(path, &text, err);

    if (rc == LINKD_OK)
        rc = lk_config_parse((linkd_str){text.data, text.len}, path, config,
                             err);
    lk_buf_clear(&text);
    return rc;
}

/* ---- flags -------------------------------------------------------------- */

/* What the command line says beside the options. */
typedef struct command_line {
    int argc;
    char **argv;
    int at;
    const char *config;
    bool help, version, check;
    linkd_str name, value; /* of the option that was read last */
} command_line;

static linkd_str str_of(const char *text)
{
    return (linkd_str){text, strlen(text)};
}

static int flag_split(command_line *line, const char *text, linkd_error *err)
{
    const char *equals = strchr(text, '=');

    line->name = str_of(text);
    if (equals != NULL) {
        line->name.len = (size_t)(equals - text);
        line->value = str_of(equals + 1);
        return LINKD_OK;
    }
    /* a value that begins with two dashes was more likely forgotten */
    if (line->at == line->argc || strncmp(line->argv[line->at], "--", 2) == 0)
        return option_find(line->name) != NULL || strcmp(text, "config") == 0
                   ? lk_fail(err, LINKD_E_ARG, "--%s needs a value", text)
                   : lk_fail(err, LINKD_E_ARG, "--%s: there is no such option",
                             text);
    line->value = str_of(line->argv[line->at++]);
    return LINKD_OK;
}

static bool word_take(command_line *line, const char *arg)
{
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
        line->help = true;
    else if (strcmp(arg, "--version") == 0)
        line->version = true;
    else if (strcmp(arg, "--check-config") == 0)
        line->check = true;
    else
        return false;
    return true;
}

/* Reads one argument; *ret_option says whether it is an option of the table. */
static int flag_take(command_line *line, bool *ret_option, linkd_error *err)
{
    const char *arg = line->argv[line->at++];
    int rc;

    *ret_option = false;
    if (word_take(line, arg))
        return LINKD_OK;
    if (strncmp(arg, "--", 2) != 0)
        return lk_fail(err, LINKD_E_ARG, "cannot make sense of \"%s\"", arg);
    rc = flag_split(line, arg + 2, err);
    if (rc != LINKD_OK)
        return rc;
    *ret_option = line->name.len != strlen("config") ||
                  memcmp(line->name.bytes, "config", line->name.len) != 0;
    if (*ret_option)
        return LINKD_OK;
    if (line->config != NULL)
        return lk_fail(err, LINKD_E_ARG, "--config: given twice");
    line->config = line->value.bytes;
    return LINKD_OK;
}

/* `config` NULL: only looks for --config and the likes, which come first. */
static int flags_parse(command_line *line, lk_config *config, linkd_error *err)
{
    uint64_t seen = 0;
    bool is_option;
    int rc = LINKD_OK;

    line->at = 1;
    line->config = NULL;
    while (line->at < line->argc && rc == LINKD_OK && !line->help) {
        linkd_error why;

        rc = flag_take(line, &is_option, err);
        if (rc != LINKD_OK || !is_option || config == NULL)
            continue;
        rc = option_set(config, &seen, line->name, line->value, &why);
        if (rc != LINKD_OK)
            (void)lk_fail(err, rc, "--%s", why.message);
    }
    return rc;
}

/* ---- help --------------------------------------------------------------- */

static const char help_head[] =
    "Usage: linkd [OPTION]...\n"
    "Keeps collections of records, searches and links them, and answers on a\n"
    "Unix socket.\n\n"
    "Options:\n";

static const char help_tail[] =
    "\nIn the file of --config a line is \"name = value\" with the names "
    "above, or a\n"
    "comment that begins with #. Flags win over the file.\n\n"
    "SIGTERM finishes what runs and ends; SIGHUP reopens the log.\n\n"
    "Examples:\n"
    "  linkd --data ./data --socket ./linkd.sock\n"
    "  curl --unix-socket ./linkd.sock http://localhost/readyz\n"
    "  linkd --config /etc/linkd/linkd.conf --check-config\n"
    "  linkd --listen 127.0.0.1:8765 --token-file /etc/linkd/token\n";

static void help_line(const char *name, const char *value, const char *help,
                      const char *initial)
{
    int n = printf("  --%s %s", name, value);

    (void)printf("%*s%s", n < 29 ? 30 - n : 1, "", help);
    if (initial != NULL)
        (void)printf(" [%s]", initial);
    (void)putchar('\n');
}

static void help_print(void)
{
    (void)fputs(help_head, stdout);
    for (size_t i = 0; i < N_OPTIONS; i++)
        help_line(options[i].name, options[i].value, options[i].help,
                  options[i].initial);
    help_line("config", "FILE", "read options from a file", NULL);
    help_line("check-config", "", "say whether the options are right, and end",
              NULL);
    help_line("help", "", "show this help", NULL);
    help_line("version", "", "show the version", NULL);
    (void)fputs(help_tail, stdout);
}

/* ---- all of it ---------------------------------------------------------- */

int lk_config_init(lk_config *ret_config, linkd_error *err)
{
    *ret_config = (lk_config){0};
    for (size_t i = 0; i < N_OPTIONS; i++) {
        int rc = LINKD_OK;

        if (options[i].initial != NULL)
            rc = value_set(ret_config, &options[i], str_of(options[i].initial),
                           err);
        if (rc != LINKD_OK) {
            lk_config_clear(ret_config);
            return rc;
        }
    }
    return LINKD_OK;
}

void lk_config_clear(lk_config *config)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (options[i].kind == OPTION_TEXT)
            free(*(char **)slot_of(config, &options[i]));
    }
    *config = (lk_config){0};
}

static int config_check(const lk_config *config, linkd_error *err)
{
    if (config->listen != NULL && config->token_file == NULL)
        return lk_fail(err, LINKD_E_ARG,
                       "listen: TCP needs a token: set token-file");
    return LINKD_OK;
}

static int config_fill(command_line *line, lk_config *config, linkd_error *err)
{
    int rc = LINKD_OK;

    if (line->config != NULL)
        rc = file_parse(line->config, config, err);
    if (rc == LINKD_OK)
        rc = flags_parse(line, config, err);
    if (rc == LINKD_OK)
        rc = config_check(config, err);
    return rc;
}

int lk_config_read_args(int argc, char **argv, lk_config *ret_config,
                        bool *ret_help, linkd_error *err)
{
    command_line line = {.argc = argc, .argv = argv};
    lk_config config;
    int rc = flags_parse(&line, NULL, err);

    if (rc == LINKD_OK)
        rc = lk_config_init(&config, err);
    if (rc != LINKD_OK)
        return rc;
    if (line.help)
        help_print();
    else if (line.version)
        (void)printf("linkd %s\n", LINKD_VERSION);
    else
        rc = config_fill(&line, &config, err);
    if (rc != LINKD_OK) {
        lk_config_clear(&config);
        return rc;
    }
    if (line.check && !line.help && !line.version)
        (void)puts("the options are right");
    *ret_help = line.help || line.version || line.check;
    *ret_config = config;
    return LINKD_OK;
}
