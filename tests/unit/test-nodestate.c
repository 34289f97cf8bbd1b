/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/nodestate against the table that doc/states.md draws. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/model/nodestate.h"

static const char *const event_names[SSI_EVENTS] = {
	[SSI_EVENT_BOOT] = "BOOT", [SSI_EVENT_JOIN] = "JOIN", [SSI_EVENT_HEARTBEAT] = "HEARTBEAT", [SSI_EVENT_SILENT] = "SILENT",
	[SSI_EVENT_TIMEOUT] = "TIMEOUT", [SSI_EVENT_LEAVE] = "LEAVE", [SSI_EVENT_BOOT_FAILED] = "BOOT_FAILED",
	[SSI_EVENT_DETACH] = "DETACH", [SSI_EVENT_ACCEPT] = "ACCEPT",
	[SSI_EVENT_FENCE] = "FENCE", [SSI_EVENT_FENCED] = "FENCED", [SSI_EVENT_FENCE_FAILED] = "FENCE_FAILED",
};

/* The cells of a table's line, blanks cut; how many. */
static int cells(char *line, char *cell[], int max)
{
	int n = 0;
	char *save = NULL;

	for (char *c = strtok_r(line, "|", &save); c && n < max; c = strtok_r(NULL, "|", &save)) {
		c += strspn(c, " ");
		for (size_t k = strlen(c); k && c[k - 1] == ' '; k--)
			c[k - 1] = '\0';
		cell[n++] = c;
	}
	return n;
}

static int find_event(const char *cell)
{
	for (int ev = 0; ev < SSI_EVENTS; ev++)
		if (cell[0] == '`' && !strncmp(cell + 1, event_names[ev], strlen(event_names[ev])) && !strcmp(cell + 1 + strlen(event_names[ev]), "`"))
			return ev;
	return -1;
}

static void document_is_the_table(void **state)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = ssi_path_join(srcdir ? srcdir : ".", "doc/states.md"), *text = NULL;
	int columns[SSI_NODE_STATES], rows = 0, header = 0;
	char *save = NULL;

	assert_int_equal(ssi_file_read(path, 1 << 20, &text, NULL), 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *cell[SSI_NODE_STATES + 2];
		int n, ev;

		if (line[0] != '|')
			continue;
		n = cells(line, cell, SSI_NODE_STATES + 2);
		if (!strcmp(cell[0], "event")) {
			assert_int_equal(n, SSI_NODE_STATES + 2);
			for (int s = 0; s < SSI_NODE_STATES; s++)
				assert_true((columns[s] = ssi_nodestate_parse(cell[s + 2])) >= 0);
			header++;
		}
		ev = find_event(cell[0]);
		if (ev < 0)
			continue;
		assert_int_equal(header, 1);
		assert_int_equal(n, SSI_NODE_STATES + 2);
		for (int s = 0; s < SSI_NODE_STATES; s++)
			assert_string_equal(cell[s + 2], ssi_nodestate_name(ssi_nodestate_next(columns[s], ev)));
		rows++;
	}
	assert_int_equal(rows, SSI_EVENTS);
}

static void names_and_bounds(void **state)
{
	for (int s = 0; s < SSI_NODE_STATES; s++)
		assert_int_equal(ssi_nodestate_parse(ssi_nodestate_name(s)), s);
	for (int h = 0; h < SSI_HOLDS; h++)
		assert_int_equal(ssi_nodehold_parse(ssi_nodehold_name(h)), h);
	assert_int_equal(ssi_nodehold_parse("gone"), -EINVAL);
	assert_int_equal(ssi_nodestate_parse("gone"), -EINVAL);
	assert_string_equal(ssi_nodestate_name(SSI_NODE_STATES), "unknown");
	assert_int_equal(ssi_nodestate_next(SSI_NODE_JOINED, SSI_EVENTS), SSI_NODE_JOINED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(document_is_the_table),
		cmocka_unit_test(names_and_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
