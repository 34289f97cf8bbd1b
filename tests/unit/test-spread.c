/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a compiler proper is asked: which words go into which pass, and what is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ssi/spread/compile.h"

#define SOURCE "test-spread.source.c"
#define WORDS 32
#define COLOR "-fdiagnostics-color=auto"

static int source_make(void **state)
{
	int fd = open(SOURCE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int source_gone(void **state)
{
	return unlink(SOURCE);
}

static bool plan(const char *line, struct compile *ret)
{
	static char copy[512];
	static char *argv[WORDS];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *save, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "''") ? w : (char *)"";
	return compile_plan(argc, argv, ret);
}

static const char *joined(char *const *words)
{
	static char text[2][512];
	static int turn;
	char *t = text[turn ^= 1];

	*t = '\0';
	for (; *words; words++)
		snprintf(t + strlen(t), sizeof(text[0]) - strlen(t), "%s%s", *t ? " " : "", *words);
	return t;
}

static void the_preprocessors_words_go_into_the_first_pass_alone(void **state)
{
	struct compile c;

	assert_true(plan("cc1 -quiet -I . -imultiarch x86_64-linux-gnu -MD a.d -MF x.d -MQ a.o -D X=1 -DY " SOURCE " -quiet -dumpbase a.c -dumpbase-ext .c "
			 "-mtune=generic -g -O2 -Wall -pedantic --param ggc-min-expand=1 -o /tmp/a.s", &c));
	assert_string_equal(joined(c.first), "cc1 " COLOR " -quiet -I . -imultiarch x86_64-linux-gnu -MD a.d -MF x.d -MQ a.o -D X=1 -DY " SOURCE " -quiet "
			    "-dumpbase a.c -dumpbase-ext .c -mtune=generic -g -O2 -Wall -pedantic --param ggc-min-expand=1 -E -fdirectives-only -o -");
	assert_string_equal(joined(c.second), "cc1 " COLOR " -quiet -quiet -dumpbase a.c -dumpbase-ext .c -mtune=generic -g -O2 -Wall -pedantic "
			    "--param ggc-min-expand=1 -fpreprocessed -fdirectives-only - -o -");
	assert_string_equal(c.out, "/tmp/a.s");
	compile_free(&c);
	assert_true(plan("cc1plus -dumpbase '' " SOURCE " -include x.h -o -", &c));
	assert_string_equal(joined(c.second), "cc1plus " COLOR " -dumpbase  -fpreprocessed -fdirectives-only - -o -");
	compile_free(&c);
}

static void what_needs_other_files_or_asks_is_left_alone(void **state)
{
	static const char *const alone[] = {
		"cc1 " SOURCE, "cc1 -o a.s", "cc1 " SOURCE " -o", "cc1 - -o a.s", "cc1 no-such-file.c -o a.s", "cc1 " SOURCE " " SOURCE " -o a.s",
		"cc1 -E " SOURCE " -o a.i", "cc1 -fpreprocessed " SOURCE " -o a.s", "cc1 -M " SOURCE " -o a.d", "cc1 -MM " SOURCE " -o a.d",
		"cc1 -version " SOURCE " -o a.s", "cc1 --help -o a.s " SOURCE, "cc1 @words " SOURCE " -o a.s", "cc1 -ftest-coverage " SOURCE " -o a.s",
		"cc1 -fprofile-use=x " SOURCE " -o a.s", "cc1 -fplugin=x " SOURCE " -o a.s", "cc1 -g3 " SOURCE " -o a.s", "cc1 -da " SOURCE " -o a.s",
		"cc1 -fdump-tree-all " SOURCE " -o a.s", "cc1 -aux-info x " SOURCE " -o a.s", "cc1 -iplugindir=x " SOURCE " -o a.s", "cc1 " SOURCE " -o a.s -D",
		"cc1 --unknown x " SOURCE " -o a.s",
	};
	struct compile c;

	for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
		if (plan(alone[i], &c))
			fail_msg("two passes of: %s", alone[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_preprocessors_words_go_into_the_first_pass_alone),
		cmocka_unit_test(what_needs_other_files_or_asks_is_left_alone),
	};

	setenv("TERM", "dumb", 1);
	return cmocka_run_group_tests(tests, source_make, source_gone);
}
