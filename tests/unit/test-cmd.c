/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/base/cmd: what a command line runs, and what a wrong one says. Each call is a child with its output in files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "config.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/cmd.h"
#include "libssi/base/spawn.h"

static int show(struct ssi_cmd_args *a, int argc, char **argv)
{
	printf("%s|%s|", ssi_cmd_json(a) ? "json" : "text", ssi_cmd_opt(a, "file") ? ssi_cmd_opt(a, "file") : "(none)");
	printf("%s%s", ssi_cmd_opt(a, "force") ? "force" : "", ssi_cmd_opt(a, "verbose") ? "verbose" : "");
	for (int i = 0; i < argc; i++)
		printf("|%s", argv[i]);
	printf("\n");
	return 7;
}

/* A verb that shows its lines as they come. */
static int follow(struct ssi_cmd_args *a, int argc, char **argv)
{
	printf("a line\n");
	fflush(stdout);
	return 0;
}

static const struct ssi_opt show_opts[] = {
	{ "file", 'f', "FILE", "read FILE", "@file" }, { "force", 'F', NULL, "even so", NULL }, { 0 },
};
static const struct ssi_opt program_opts[] = { SSI_OPT_OUTPUT, { "verbose", 'v', NULL, "say more", NULL }, { 0 } };
static const struct ssi_cmd cmds[] = {
	{ .name = "show", .args = "NAME [NAME...]", .min = 1, .max = -1, .run = show, .help = "show names", .opts = show_opts, .complete = "@image" },
	{ .name = "list", .max = 0, .run = show, .help = "list all" },
	{ .name = "node show", .args = "RANGE", .min = 1, .max = 1, .run = show, .help = "show nodes" },
	{ .name = "node set", .args = "RANGE KEY=VALUE...", .min = 2, .max = -1, .run = show, .help = "set values" },
	{ .name = "exec", .args = "RANGE COMMAND...", .min = 2, .max = -1, .run = show, .help = "run COMMAND", .raw = 1 },
	{ .name = "follow", .max = 0, .run = follow, .help = "show lines as they come" },
	{ 0 },
};
static const struct ssi_program program = { .name = "prog", .help = "does things", .cmds = cmds, .opts = program_opts };

static char out[16384], err[4096];

static void take(int fd, char *ret, size_t n)
{
	ssize_t r = pread(fd, ret, n - 1, 0);

	assert_true(r >= 0);
	ret[r] = '\0';
	close(fd);
}

/* Run the words of line (blanks between); its exit status. */
static int run(const char *line)
{
	int o = memfd_create("out", 0), e = memfd_create("err", 0);
	char copy[512], *argv[32] = { (char *)"prog" }, *save = NULL;
	int argc = 1, status;
	pid_t pid;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	pid = fork();
	if (pid == 0) {
		dup2(o, 1);
		dup2(e, 2);
		status = ssi_cmd_main(&program, argc, argv);
		_exit(status);
	}
	status = ssi_spawn_wait(pid);
	take(o, out, sizeof(out));
	take(e, err, sizeof(err));
	return status;
}

static void good(const char *line, const char *want)
{
	assert_int_equal(run(line), 7);
	assert_string_equal(out, want);
	assert_string_equal(err, "");
}

static void bad(const char *line, const char *want)
{
	assert_int_equal(run(line), 2);
	assert_string_equal(out, "");
	assert_string_equal(err, want);
}

static void command_lines(void **state)
{
	good("show a b", "text|(none)||a|b\n");
	good("-o json show a", "json|(none)||a\n");
	good("show a --output=json -f x", "json|x||a\n");
	good("show -Fvfx a", "text|x|forceverbose|a\n");
	good("-f x show -fy a", "text|y||a\n");
	good("show -ojson -otext a", "text|(none)||a\n");
	good("show -- -f --help", "text|(none)||-f|--help\n");
	good("show - a", "text|(none)||-|a\n");
	good("list", "text|(none)|\n");
	good("node show n1", "text|(none)||n1\n");
	good("-v node -o json show n1", "json|(none)|verbose|n1\n");
	good("exec -v n1 ls -l --help -o x", "text|(none)|verbose|n1|ls|-l|--help|-o|x\n");
	good("exec n1 -- ls -- x", "text|(none)||n1|--|ls|--|x\n");
}

static void mistakes(void **state)
{
	bad("", "prog: no verb given. See 'prog --help'\n");
	bad("shwo a", "prog: unknown verb 'shwo': did you mean 'show'? See 'prog --help'\n");
	bad("frobnicate", "prog: unknown verb 'frobnicate'. See 'prog --help'\n");
	bad("node", "prog: a further word is missing after 'node'. See 'prog node --help'\n");
	bad("node shw n1", "prog: unknown verb 'node shw': did you mean 'node show'? See 'prog node --help'\n");
	bad("show", "prog: words are missing: it takes 'NAME [NAME...]'. See 'prog show --help'\n");
	bad("list x", "prog: one word too many: 'x'. See 'prog list --help'\n");
	bad("node show a b", "prog: one word too many: 'b'. See 'prog node show --help'\n");
	bad("show --froce a", "prog: unknown option '--froce': did you mean '--force'? See 'prog show --help'\n");
	bad("show -x a", "prog: unknown option '-x'. See 'prog show --help'\n");
	bad("list --file x", "prog: unknown option '--file'. See 'prog list --help'\n");
	bad("--file x list", "prog: unknown option '--file'. See 'prog list --help'\n");
	bad("--zzz list", "prog: unknown option '--zzz'. See 'prog --help'\n");
	bad("show a --file", "prog: a value is missing after '--file'. See 'prog show --help'\n");
	bad("show a -f", "prog: a value is missing after '-f'. See 'prog show --help'\n");
	bad("show a --force=yes", "prog: no value goes with '--force=yes'. See 'prog show --help'\n");
	bad("show a -o yaml", "prog: --output takes one of 'text json', not 'yaml'. See 'prog show --help'\n");
	bad("show --verzion a", "prog: unknown option '--verzion'. See 'prog show --help'\n");
}

static void help(const char *line, const char *part)
{
	assert_int_equal(run(line), 0);
	assert_string_equal(err, "");
	if (!strstr(out, part))
		fail_msg("'%s' is not in '%s'", part, out);
}

static void helps(void **state)
{
	help("--help", "Usage: prog VERB [OPTION...] [WORD...]\n");
	help("-h", "node set RANGE KEY=VALUE...");
	help("show --help", "Usage: prog show [OPTION...] NAME [NAME...]\n\nshow names.\n");
	help("show a -h", "-f, --file FILE");
	help("--help show", "-o, --output FORMAT");
	help("node --help", "Usage: prog node VERB");
	assert_null(strstr(out, "list all"));
	assert_non_null(strstr(out, "'prog node VERB --help' explains"));
	help("--version", "prog " PACKAGE_VERSION "\n");
}

static void hidden_tables(void **state)
{
	help("--complete-table",
	     "program\tprog\tdoes things\n"
	     "option\t-\t--output\t-o\tFORMAT\ttext json\ttext (default) or json\n"
	     "option\t-\t--verbose\t-v\t-\t-\tsay more\n"
	     "option\t-\t--help\t-h\t-\t-\tprint this and end\n"
	     "option\t-\t--version\t-\t-\t-\tprint the version and end\n"
	     "verb\tshow\tNAME [NAME...]\t@image\tshow names\n"
	     "option\tshow\t--file\t-f\tFILE\t@file\tread FILE\n");
	help("--man-synopsis",
	     "prog show [-f|--file FILE] [-F|--force] [-o|--output FORMAT] [-v|--verbose] NAME [NAME...]\tshow names\n"
	     "prog list [-o|--output FORMAT] [-v|--verbose]\tlist all\n");
}

static void output_that_cannot_be_written(void **state)
{
	static const char *const words[] = { "--help", "follow" };

	for (size_t i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			char *argv[] = { (char *)"prog", (char *)words[i], NULL };

			if (!freopen("/dev/full", "w", stdout) || !freopen("/dev/null", "w", stderr))
				_exit(99);
			_exit(ssi_cmd_main(&program, 2, argv));
		}
		assert_int_equal(ssi_spawn_wait(pid), 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(helps),
		cmocka_unit_test(hidden_tables),
		cmocka_unit_test(output_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
