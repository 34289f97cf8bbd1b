/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What "ssi shell --spread" puts in front of the PATH: a folder of links to ssi-spread, with the names of the programs that are placed by a policy. */
#include "libssi/base/err.h"

/*
 * Make the folder, in the user's cache, and set PATH, COMPILER_PATH and SSI_SPREAD of this process. only: names with commas between, NULL: those that are
 * worth it as a rule (compilers, compressors); policy: NULL for the default one. -EINVAL: a name that is none; -ENOENT: none of them is in the PATH, or
 * a compiler's own.
 */
int spread_begin(const char *only, const char *policy, struct ssi_err *e);
