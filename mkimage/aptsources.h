/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Where a Debian suite comes from, when the recipe names no mirror: those of the host's own apt sources that are about this suite
 * (SUITE, SUITE-updates, SUITE-security, SUITE/updates). Both notations of sources.list(5); source packages and backports are left out.
 */
#include "libssi/base/buf.h"
#include "libssi/base/err.h"

struct aptsources {
	struct ssi_buf list;    /* one-line entries */
	struct ssi_buf deb822;  /* stanzas, a blank line between */
};
#define APTSOURCES_INIT { SSI_BUF_INIT, SSI_BUF_INIT }

/* Add what one file says; pure. */
void aptsources_add_list(struct aptsources *a, const char *text, const char *suite);
void aptsources_add_deb822(struct aptsources *a, const char *text, const char *suite);
/* All of etc/sources.list and etc/sources.list.d/; -ENOENT when nothing there is about the suite. */
int aptsources_read(const char *etc, const char *suite, struct aptsources *ret, struct ssi_err *e);
void aptsources_free(struct aptsources *a);
#define _cleanup_aptsources_ SSI_CLEANUP(aptsources_free)
