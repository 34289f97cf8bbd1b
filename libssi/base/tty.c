/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text for terminals: colours, and what must not reach one. Called by the programs that people type.
 * It knows the handful of colours that every terminal has, and no cursor movement.
 */
#include "libssi/base/tty.h"

#include <string.h>

static const char *const sequences[] = {
	[SSI_PLAIN] = "", [SSI_BOLD] = "\033[1m", [SSI_DIM] = "\033[2m", [SSI_RED] = "\033[31m",
	[SSI_GREEN] = "\033[32m", [SSI_YELLOW] = "\033[33m", [SSI_CYAN] = "\033[36m",
};

bool ssi_tty_color(FILE *f)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fileno(f)) && term && strcmp(term, "dumb") != 0 && !(no && *no);
}

const char *ssi_tty_begin(enum ssi_color c, bool on)
{
	return on ? sequences[c] : "";
}

const char *ssi_tty_end(enum ssi_color c, bool on)
{
	return on && c != SSI_PLAIN ? "\033[0m" : "";
}

char *ssi_tty_clean(char *s, bool keep_newline)
{
	for (unsigned char *p = (unsigned char *)s; *p; p++) {
		if (*p == '\n' && keep_newline)
			continue;
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)      /* C1: CSI and its like */
			p[0] = p[1] = '?';
	}
	return s;
}
