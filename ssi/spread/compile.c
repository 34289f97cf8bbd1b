/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what is known of a compiler proper's arguments, and its two passes. Called by main.c. What it does not know for sure it leaves to one pass here. */
#include "ssi/spread/compile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/fd.h"
#include "libssi/base/spawn.h"

enum what { KEEP, FIRST, HERE, OUT };
struct option { const char *name; bool joined, argument; enum what what; };    /* joined: every word that begins so */

/* The first that fits counts. */
static const struct option options[] = {
	{ "-o", false, true, OUT },
	/* for the first pass alone: what the preprocessor is told */
	{ "-MD", false, true, FIRST }, { "-MMD", false, true, FIRST }, { "-MF", false, true, FIRST }, { "-MT", false, true, FIRST },
	{ "-MQ", false, true, FIRST }, { "-MP", false, false, FIRST }, { "-MG", false, false, FIRST }, { "-M", true, false, HERE },
	{ "-D", false, true, FIRST }, { "-U", false, true, FIRST }, { "-A", false, true, FIRST }, { "-I", false, true, FIRST },
	{ "-D", true, false, FIRST }, { "-U", true, false, FIRST }, { "-A", true, false, FIRST }, { "-I", true, false, FIRST },
	{ "-include", false, true, FIRST }, { "-imacros", false, true, FIRST }, { "-idirafter", false, true, FIRST }, { "-iquote", false, true, FIRST },
	{ "-isystem", false, true, FIRST }, { "-iprefix", false, true, FIRST }, { "-isysroot", false, true, FIRST }, { "-iwithprefix", false, true, FIRST },
	{ "-iwithprefixbefore", false, true, FIRST }, { "-imultilib", false, true, FIRST }, { "-imultiarch", false, true, FIRST },
	{ "-nostdinc", false, false, FIRST }, { "-nostdinc++", false, false, FIRST }, { "-undef", false, false, FIRST }, { "-H", false, false, FIRST },
	{ "-i", true, false, HERE },
	/* what has an argument of its own */
	{ "-dumpbase", false, true, KEEP }, { "-dumpbase-ext", false, true, KEEP }, { "-dumpdir", false, true, KEEP },
	{ "-auxbase", false, true, KEEP }, { "-auxbase-strip", false, true, KEEP }, { "--param", false, true, KEEP },
	/* what reads or leaves other files, or asks something */
	{ "-aux-info", true, false, HERE }, { "-d", true, false, HERE }, { "-E", false, false, HERE }, { "-C", true, false, HERE }, { "-P", false, false, HERE },
	{ "-Q", false, false, HERE }, { "-v", true, false, HERE }, { "--", true, false, HERE }, { "@", true, false, HERE },
	{ "-lang-asm", false, false, HERE }, { "-traditional", true, false, HERE }, { "-g3", false, false, HERE }, { "-ggdb3", false, false, HERE },
	{ "-fpreprocessed", false, false, HERE }, { "-fdirectives-only", false, false, HERE }, { "-fpch", true, false, HERE }, { "-fplugin", true, false, HERE },
	{ "-fdump", true, false, HERE }, { "-fstack-usage", false, false, HERE }, { "-fcallgraph-info", true, false, HERE }, { "-ftest-coverage", false, false, HERE },
	{ "-fprofile-use", true, false, HERE }, { "-fbranch-probabilities", false, false, HERE }, { "-fauto-profile", true, false, HERE },
	{ "-fsave-optimization-record", false, false, HERE }, { "-fopt-info", true, false, HERE }, { "-ftime-report", true, false, HERE },
	{ "-fmem-report", true, false, HERE }, { "-fcompare-debug", true, false, HERE }, { "-fmodule", true, false, HERE }, { "-fself-test", true, false, HERE },
	{ "-fdiagnostics-format", true, false, HERE }, { "-fdiagnostics-generate-patch", false, false, HERE }, { "-foffload", true, false, HERE },
	{ 0 },
};

/* What the second pass would take from what it runs on or reads. */
static const char *const contexts[] = { "__DATE__", "__TIME__", "__TIMESTAMP__", "__BASE_FILE__" };

static const struct option *option_of(const char *word)
{
	static const struct option other = { "", true, false, KEEP };

	for (const struct option *o = options; o->name; o++)
		if (o->joined ? !strncmp(word, o->name, strlen(o->name)) : !strcmp(word, o->name))
			return o;
	return &other;
}

static bool is_source(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* What is said goes through memory, and is to be coloured as if it went to the terminal where it ends: by default, so the caller's own word comes later. */
static char *color(void)
{
	const char *term = getenv("TERM");
	bool yes = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;

	return (char *)(yes ? "-fdiagnostics-color=always" : "-fdiagnostics-color=auto");
}

bool compile_plan(int argc, char **argv, struct compile *ret)
{
	SSI_CLEANUP(compile_free) struct compile c = { calloc((size_t)argc + 5, sizeof(char *)), calloc((size_t)argc + 7, sizeof(char *)), NULL };
	const char *source = NULL;
	size_t a = 0, b = 0;

	if (!c.first || !c.second || argc < 1)
		return false;
	c.first[a++] = c.second[b++] = argv[0];
	c.first[a++] = c.second[b++] = color();
	for (int i = 1; i < argc; i++) {
		bool is_option = argv[i][0] == '-' && argv[i][1];
		const struct option *o = option_of(argv[i]);

		if (o->what == HERE || (o->argument && i + 1 >= argc) || (!is_option && source))
			return false;
		if (!is_option)
			source = argv[i];
		if (o->what == OUT)
			c.out = argv[i + 1];
		for (int k = 0; k <= o->argument; k++) {
			if (o->what != OUT)
				c.first[a++] = argv[i + k];
			if (o->what == KEEP && is_option)
				c.second[b++] = argv[i + k];
		}
		i += o->argument;
	}
	if (!c.out || !source || !is_source(source))
		return false;
	memcpy(c.first + a, (char *[]){ (char *)"-E", (char *)"-fdirectives-only", (char *)"-o", (char *)"-" }, 4 * sizeof(char *));
	memcpy(c.second + b, (char *[]){ (char *)"-fpreprocessed", (char *)"-fdirectives-only", (char *)"-", (char *)"-o", (char *)"-" }, 5 * sizeof(char *));
	*ret = c;
	c = (struct compile){ 0 };
	return true;
}

void compile_free(struct compile *c)
{
	free(c->first);
	free(c->second);
	*c = (struct compile){ 0 };
}

/* --- the two passes --- */

static int memory(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC);
}

/* Has one of these words been left to the second pass? */
static bool looks_around(int source)
{
	struct stat st;
	char *text;
	bool found = false;

	if (fstat(source, &st) < 0 || !st.st_size)
		return true;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, source, 0);
	if (text == MAP_FAILED)
		return true;
	for (size_t i = 0; i < sizeof(contexts) / sizeof(*contexts) && !found; i++)
		found = memmem(text, (size_t)st.st_size, contexts[i], strlen(contexts[i]));
	munmap(text, (size_t)st.st_size);
	return found;
}

static bool pass(char *const *argv, int in, int out, int err)
{
	const struct ssi_spawn_io io = { in, out, err, NULL, NULL };
	pid_t pid;

	return ssi_spawn(argv, &io, SSI_SPAWN_PDEATH, &pid, NULL) == 0 && ssi_spawn_wait(pid) == 0;
}

static bool pass_there(const struct compile *c, char *program, char *const *run, int in, int out, int err)
{
	_cleanup_free_ char **argv = NULL;
	size_t n = 0, k = 0;

	while (run[n])
		n++;
	while (c->second[k])
		k++;
	argv = calloc(n + k + 1, sizeof(*argv));
	if (!argv)
		return false;
	memcpy(argv, run, n * sizeof(*argv));
	memcpy(argv + n, c->second, k * sizeof(*argv));
	argv[n] = program;
	return pass(argv, in, out, err);
}

static bool copy(int from, int to)
{
	struct stat st;
	char *text;
	bool ok;

	if (fstat(from, &st) < 0)
		return false;
	if (!st.st_size)
		return true;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, from, 0);
	ok = text != MAP_FAILED && ssi_fd_write_all(to, text, (size_t)st.st_size) == 0;
	if (text != MAP_FAILED)
		munmap(text, (size_t)st.st_size);
	return ok;
}

bool compile_run(const struct compile *c, char *program, char *const *run)
{
	_cleanup_close_ int source = memory("source"), result = memory("result"), said = memory("said"), file = -1;
	bool to_stdout = !strcmp(c->out, "-");
	char *name = c->first[0];
	bool ok;

	c->first[0] = program;
	ok = source >= 0 && result >= 0 && said >= 0 && pass(c->first, -1, source, said) && !looks_around(source) && lseek(source, 0, SEEK_SET) == 0;
	c->first[0] = name;
	ok = ok && pass_there(c, program, run, source, result, said);
	if (ok && !to_stdout)
		file = open(c->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (!ok || (!to_stdout && file < 0) || !copy(result, to_stdout ? STDOUT_FILENO : file))
		return false;
	copy(said, STDERR_FILENO);
	return true;
}
