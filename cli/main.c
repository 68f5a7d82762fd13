/* cli/main.c — linkctl: which command, and how it ends.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage. A failure is one line on
 * standard error, "linkctl: …", and at most one more with a hint. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "index/index.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

static const lk_command *const commands[] = {
    &lk_cmd_link,
    &lk_cmd_dedup,
    &lk_cmd_cluster,
    &lk_cmd_classify,
    &lk_cmd_embed,
    &lk_cmd_eval,
    &lk_cmd_explain,
    &lk_cmd_review,
    &lk_cmd_train,
    &lk_cmd_score,
    &lk_cmd_profile,
    &lk_cmd_model_list,
    &lk_cmd_model_add,
    &lk_cmd_model_pull,
    &lk_cmd_model_info,
    &lk_cmd_model_verify,
    &lk_cmd_collection_create,
    &lk_cmd_collection_list,
    &lk_cmd_collection_info,
    &lk_cmd_collection_log,
    &lk_cmd_collection_drop,
    &lk_cmd_collection_import,
    &lk_cmd_collection_export,
    &lk_cmd_search,
    &lk_cmd_job_list,
    &lk_cmd_job_show,
    &lk_cmd_job_wait,
    &lk_cmd_job_cancel,
    &lk_cmd_job_results,
    &lk_cmd_job_delete,
    &lk_cmd_compat_fit,
    &lk_cmd_compat_map,
    &lk_cmd_compat_eval,
    &lk_cmd_upgrade_probe,
    &lk_cmd_upgrade_start,
    &lk_cmd_upgrade_status,
    &lk_cmd_upgrade_backfill,
    &lk_cmd_upgrade_rollback,
    &lk_cmd_upgrade_gc,
    &lk_cmd_backup,
    &lk_cmd_fsck,
    &lk_cmd_compact,
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

/* The second word of a command whose first is `group`; NULL: of another. */
static const char *member_name(const lk_command *command, const char *group)
{
    const char *name = command->syntax->name;
    size_t length = strlen(group);

    if (strncmp(name, group, length) != 0 || name[length] != ' ')
        return NULL;
    return name + length + 1;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (member_name(commands[i], word) != NULL)
            return true;
    }
    return false;
}

/* Lists the commands, or those of a group. */
static void help_print(const char *group)
{
    (void)printf("Usage: linkctl %s%sCOMMAND [OPTION]...\n",
                 group != NULL ? group : "", group != NULL ? " " : "");
    if (group == NULL)
        (void)printf("Links records that are the same thing.\n");
    (void)printf("\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const lk_syntax *syntax = commands[i]->syntax;

        if (group == NULL || member_name(commands[i], group) != NULL)
            (void)printf("  %-18s %.*s\n", syntax->name,
                         (int)strcspn(syntax->summary, "\n"), syntax->summary);
    }
    (void)printf("\nlinkctl %s%sCOMMAND --help tells more, with examples.\n",
                 group != NULL ? group : "", group != NULL ? " " : "");
    if (group == NULL)
        (void)printf("linkctl --version prints the version.\n\n"
                     "Exit codes: 0 done, 1 failed, 2 wrong usage.\n");
}

/* Is `argv` [argc] this command? Then *ret_n words of it are its name. */
static bool command_matches(const lk_command *command, int argc,
                            char *const *argv, int *ret_n)
{
    const char *name = command->syntax->name;
    size_t first = strcspn(name, " ");

    if (strlen(argv[0]) != first || memcmp(argv[0], name, first) != 0)
        return false;
    *ret_n = 1;
    if (name[first] == '\0')
        return true;
    *ret_n = 2;
    return argc > 1 && strcmp(argv[1], name + first + 1) == 0;
}

static int fail_unknown(lk_cli *cli, int argc, char *const *argv,
                        linkd_error *err)
{
    const char *names[N_COMMANDS + 1] = {NULL};
    bool has_two = is_group(argv[0]) && argc > 1;
    char text[64];
    const char *nearest;

    if (is_group(argv[0]) && argc < 2) {
        lk_cli_hint(cli, "linkctl %s --help lists them", argv[0]);
        return lk_fail(err, LINKD_E_ARG, "%s needs a command", argv[0]);
    }
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i]->syntax->name;
    (void)snprintf(text, sizeof(text), "%s%s%s", argv[0], has_two ? " " : "",
                   has_two ? argv[1] : "");
    nearest = lk_nearest(text, names);
    if (nearest != NULL)
        lk_cli_hint(cli, "did you mean %s?", nearest);
    else
        lk_cli_hint(cli, "linkctl %s%s--help lists the commands",
                    has_two ? argv[0] : "", has_two ? " " : "");
    return lk_fail(err, LINKD_E_ARG, "there is no command \"%s\"", text);
}

static void meter_init(lk_cli *cli)
{
    lk_meter_style style = LK_METER_LINES;

    if (cli->args.quiet)
        style = LK_METER_SILENT;
    else if (isatty(STDERR_FILENO))
        style = LK_METER_TERMINAL;
    lk_meter_init(&cli->meter, stderr, style, lk_clock_ns);
    cli->progress = lk_meter_progress(&cli->meter);
}

static int command_run(lk_cli *cli, const lk_command *command, int argc,
                       char *const *argv, linkd_error *err)
{
    void *values = malloc(command->values_size);
    int rc;

    if (values == NULL)
        return lk_fail_nomem(err);
    memcpy(values, command->defaults, command->values_size);
    rc = lk_args_parse(command->syntax, argc, argv, values, &cli->args,
                       &cli->hint, err);
    if (rc == LINKD_OK && cli->args.help) {
        lk_args_help(command->syntax, stdout);
    } else if (rc == LINKD_OK) {
        meter_init(cli);
        rc = command->run(cli, values, err);
    }
    free(values);
    return rc;
}

static int fail_superfluous(const char *option, const char *arg,
                            linkd_error *err)
{
    return lk_fail(err, LINKD_E_ARG, "%s does not know what to do with %s",
                   option, arg);
}

static const lk_command *command_find(int argc, char *const *argv,
                                      int *ret_n_words)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (command_matches(commands[i], argc, argv, ret_n_words))
            return commands[i];
    }
    return NULL;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* `argv` [argc] is the command or the group that help is wanted for, if any. */
static int help_run(lk_cli *cli, int argc, char *const *argv, linkd_error *err)
{
    const lk_command *command;
    int n_words = 0;

    if (argc == 0) {
        help_print(NULL);
        return LINKD_OK;
    }
    if (argc == 1 && is_group(argv[0])) {
        help_print(argv[0]);
        return LINKD_OK;
    }
    command = command_find(argc, argv, &n_words);
    if (command == NULL)
        return fail_unknown(cli, argc, argv, err);
    if (argc > n_words)
        return fail_superfluous("help", argv[n_words], err);
    lk_args_help(command->syntax, stdout);
    return LINKD_OK;
}

static int version_run(int argc, char *const *argv, linkd_error *err)
{
    if (argc > 0)
        return fail_superfluous("--version", argv[0], err);
    (void)printf("linkctl %s (%s)\n", LINKD_VERSION, linkd_index_library());
    return LINKD_OK;
}

static int dispatch(lk_cli *cli, int argc, char *const *argv, linkd_error *err)
{
    const lk_command *command;
    int n_words = 0;

    if (argc == 0) {
        lk_cli_hint(cli, "linkctl --help lists the commands");
        return lk_fail(err, LINKD_E_ARG, "a command is needed");
    }
    if (is_help(argv[0]) || strcmp(argv[0], "help") == 0)
        return help_run(cli, argc - 1, argv + 1, err);
    if (strcmp(argv[0], "--version") == 0)
        return version_run(argc - 1, argv + 1, err);
    if (argc == 2 && is_help(argv[1]) && is_group(argv[0]))
        return help_run(cli, 1, argv, err);
    command = command_find(argc, argv, &n_words);
    if (command == NULL)
        return fail_unknown(cli, argc, argv, err);
    return command_run(cli, command, argc - n_words, argv + n_words, err);
}

/* What printf put aside must reach the disk, too. */
static int stdout_flush(linkd_error *err)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        return lk_fail(err, LINKD_E_IO,
                       "could not write to standard output: %s",
                       strerror(errno));
    return LINKD_OK;
}

/* A file must not become a standard descriptor because it was closed: what is
 * said there would end up in it. /dev/null takes its place, opened the wrong
 * way round, so that using it fails as before. */
static bool std_descriptors_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* the lowest free one, which is this */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* Old spreadsheets write Windows' code page, which nothing in it tells. */
static void encoding_hint(lk_cli *cli, const linkd_error *err)
{
    if (err->code == LINKD_E_DATA && cli->hint.len == 0 &&
        strstr(err->message, "invalid UTF-8 at byte") != NULL)
        lk_cli_hint(cli, "tables are UTF-8; of Western European ones this "
                         "makes it: iconv -f WINDOWS-1252 -t UTF-8 FILE");
}

int main(int argc, char **argv)
{
    lk_cli cli = {0};
    linkd_error err = {0};
    int rc;

    if (!std_descriptors_fill())
        return EXIT_FAILED;
    lk_log_init("linkctl", LK_LOG_WARN);
    lk_interrupt_init();
    rc = dispatch(&cli, argc > 0 ? argc - 1 : 0, argv + 1, &err);
    if (rc == LINKD_OK)
        rc = stdout_flush(&err);
    if (rc != LINKD_OK) {
        encoding_hint(&cli, &err);
        lk_meter_erase(&cli.meter);
        lk_log(LK_LOG_ERROR, "%s", err.message);
        if (cli.hint.len > 0)
            (void)fprintf(stderr, "hint: %s\n", cli.hint.data);
    }
    lk_buf_clear(&cli.hint);
    if (rc == LINKD_OK)
        return EXIT_DONE;
    return rc == LINKD_E_ARG ? EXIT_USAGE : EXIT_FAILED;
}
