/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A boot as aligned rows with bars on one time axis. Called by "node show". Time that no stage accounts for gets a row of its
 * own, so that the rows add up. Stages that overlap are drawn as they are and not untangled.
 */
#include "ssi/timeline.h"

#include <stdint.h>
#include <string.h>

#include "libssi/base/num.h"
#include "libssi/base/tty.h"
#include "libssi/comm/json.h"

#define BAR 40               /* columns of the axis */
#define GAP_MS 100           /* a hole shorter than this is no row */
#define LONGEST_MS (INT64_C(1) << 53)    /* what a node says of itself may be anything: so far numbers are reckoned with */

static json_int_t stage_ms(const json_t *s, const char *key)
{
	json_int_t ms = ssi_json_int(s, key);

	return ms < 0 ? 0 : ms > LONGEST_MS ? LONGEST_MS : ms;
}

static json_int_t stage_end(const json_t *s)
{
	json_int_t start = stage_ms(s, "start_ms"), end = stage_ms(s, "end_ms");

	return end < start ? -1 : end;
}

static json_int_t total_ms(const json_t *stages)
{
	json_int_t total = 1;
	size_t i;
	const json_t *s;

	json_array_foreach((json_t *)stages, i, s) {
		json_int_t start = stage_ms(s, "start_ms"), end = stage_end(s);

		if (start > total)
			total = start;
		if (end > total)
			total = end;
	}
	return total;
}

/* ' ' up to the start, then '#' to the end; at least one. */
static void bar_draw(char bar[BAR + 1], json_int_t start, json_int_t end, json_int_t total, char mark)
{
	int from = (int)(start * BAR / total), to = (int)((end * BAR + total - 1) / total);

	if (from > BAR - 1)
		from = BAR - 1;
	if (to > BAR)
		to = BAR;
	if (to <= from)
		to = from + 1;
	memset(bar, ' ', (size_t)from);
	memset(bar + from, mark, (size_t)(to - from));
	bar[to] = '\0';
}

/* What happens before a stage that is not a stage itself. */
static const char *gap_name(const json_t *before)
{
	return strcmp(ssi_json_str(before, "stage"), "init") == 0 ? "(fetch and kernel)" : "(between)";
}

static void gap_row(struct ssi_table *t, const char *name, json_int_t start, json_int_t end, json_int_t total)
{
	char bar[BAR + 1], from[24], took[24];

	bar_draw(bar, start, end, total, '.');
	ssi_table_cell(t, SSI_DIM, "%s", name);
	ssi_table_cell(t, SSI_DIM, "%s", ssi_num_format_ms(from, sizeof(from), (uint64_t)start));
	ssi_table_cell(t, SSI_DIM, "%s", ssi_num_format_ms(took, sizeof(took), (uint64_t)(end - start)));
	ssi_table_cell(t, SSI_DIM, "%s", "");
	ssi_table_cell(t, SSI_DIM, "%s", bar);
}

static void stage_row(struct ssi_table *t, const json_t *s, json_int_t total, bool stopped)
{
	json_int_t start = stage_ms(s, "start_ms"), end = stage_end(s), tries = ssi_json_int(s, "tries");
	enum ssi_color color = end >= 0 ? SSI_PLAIN : stopped ? SSI_RED : SSI_CYAN;
	char bar[BAR + 1], from[24], took[24];

	bar_draw(bar, start, end >= 0 ? end : start, total, end >= 0 ? '#' : stopped ? '!' : '>');
	ssi_table_cell(t, color, "%s", ssi_json_str(s, "stage"));
	ssi_table_cell(t, SSI_PLAIN, "%s", ssi_num_format_ms(from, sizeof(from), (uint64_t)start));
	if (end >= 0)
		ssi_table_cell(t, SSI_PLAIN, "%s", ssi_num_format_ms(took, sizeof(took), (uint64_t)(end - start)));
	else
		ssi_table_cell(t, color, "%s", stopped ? "stopped" : "now");
	if (tries > 1)
		ssi_table_cell(t, SSI_YELLOW, "%lld", (long long)tries);
	else
		ssi_table_cell(t, SSI_DIM, "%s", tries ? "1" : "");
	ssi_table_cell(t, color == SSI_PLAIN ? SSI_GREEN : color, "%s", bar);
}

void timeline_print(const json_t *stages, bool stopped)
{
	static const struct ssi_column columns[] = {
		{ "STAGE", false }, { "FROM", true }, { "TOOK", true }, { "TRIES", true }, { "", false }, { NULL, false },
	};
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	json_int_t total = total_ms(stages), reached = 0;
	char text[24];
	size_t i;
	const json_t *s;

	json_array_foreach((json_t *)stages, i, s) {
		json_int_t start = stage_ms(s, "start_ms"), end = stage_end(s);

		if (start - reached >= GAP_MS)
			gap_row(t, gap_name(s), reached, start, total);
		stage_row(t, s, total, stopped);
		reached = end > reached ? end : start > reached ? start : reached;
	}
	ssi_table_print(t, stdout, 2);
	printf("  %s in all\n", ssi_num_format_ms(text, sizeof(text), (uint64_t)total));
}
