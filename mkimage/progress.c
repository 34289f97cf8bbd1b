/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The progress display. Called by build.c around each step and by tool.c while it waits. A line is "step  what  time  size"; on a
 * terminal the running one is drawn over itself and cut to the terminal's width, elsewhere a step is one line when it is done.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/base/tty.h"
#include "mkimage/progress.h"

#define PROGRESS_DRAW_MS 100u

void progress_init(struct progress *p, FILE *to)
{
	const char *term = getenv("TERM");

	*p = (struct progress){ .to = to, .tty = isatty(fileno(to)) && !(term && !strcmp(term, "dumb")) };
}

static int width(FILE *f)
{
	struct winsize w;

	return ioctl(fileno(f), TIOCGWINSZ, &w) == 0 && w.ws_col > 40 ? w.ws_col : 80;
}

static void draw(const struct progress *p, uint64_t size, enum ssi_color color, const char *mark, const char *end)
{
	char time[24], bytes[16] = "";
	bool on = ssi_tty_color(p->to);
	int room = p->tty ? width(p->to) - 39 : 128;

	ssi_num_format_ms(time, sizeof(time), ssi_clock_mono_ms() - p->start);
	if (size)
		ssi_num_format_size(bytes, sizeof(bytes), size);
	fprintf(p->to, "%s%s%s%s %-11s %-*.*s %9s %10s%s", p->tty ? "\r" : "", ssi_tty_begin(color, on), mark, ssi_tty_end(color, on), p->step,
		p->tty ? room : 44, room, p->what, time, bytes, end);
	fflush(p->to);
}

void progress_begin(struct progress *p, const char *step, const char *what, const char *watch)
{
	p->step = step;
	p->watch = watch;
	p->start = ssi_clock_mono_ms();
	p->shown = 0;
	snprintf(p->what, sizeof(p->what), "%s", what);
	progress_tick(p);
}

void progress_tick(struct progress *p)
{
	static const char *const spin[] = { "|", "/", "-", "\\" };
	uint64_t now = ssi_clock_mono_ms();
	struct stat st;

	if (!p->tty || !p->step || now - p->shown < PROGRESS_DRAW_MS)
		return;
	p->shown = now;
	draw(p, p->watch && stat(p->watch, &st) == 0 ? (uint64_t)st.st_size : 0, SSI_CYAN, spin[now / PROGRESS_DRAW_MS % 4], "\033[K");
}

void progress_end(struct progress *p, uint64_t size)
{
	draw(p, size, SSI_GREEN, "*", p->tty ? "\033[K\n" : "\n");
	p->step = NULL;
}

void progress_cached(struct progress *p, const char *step, const char *what)
{
	bool on = ssi_tty_color(p->to);

	fprintf(p->to, "%s=%s %-11s %s: as before\n", ssi_tty_begin(SSI_DIM, on), ssi_tty_end(SSI_DIM, on), step, what);
}

void progress_fail(struct progress *p)
{
	if (p->step)
		draw(p, 0, SSI_RED, "!", p->tty ? "\033[K\n" : "\n");
	p->step = NULL;
}
