/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * RUN/view: what nodes tell each second, as files that the merged view maps (doc/procspace.md). Whoever reads them holds a shared flock(2) on RUN/view/wanted
 * meanwhile (blocking; the file may be opened for reading by anyone): while somebody does, a file is written anew, by rename, soon after something was told,
 * at most twice a second; once nobody does, they are removed. Before the first time a reader waits for a file to appear, a second or two.
 */
#include "bootsvc/daemon.h"
#include "libssi/base/buf.h"

enum viewfile { VIEWFILE_NODES, VIEWFILE_PROCESSES, VIEWFILES };           /* viewfiles.c has the table of them */

struct viewfiles;
int viewfiles_new(struct daemon *d, struct viewfiles **ret, struct ssi_err *e);
void viewfiles_free(struct viewfiles *v);
void viewfiles_told(struct viewfiles *v, enum viewfile which);      /* what is in it has changed */
