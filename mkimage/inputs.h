/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Look at everything a recipe refers to and digest it: the part of planning that reads files. */
#include "libssi/base/err.h"
#include "mkimage/aptsources.h"
#include "mkimage/plan.h"

/* programs: where this project is installed. sources gets the apt entries for a Debian recipe without a mirror. */
int inputs_read(const struct recipe *r, const char *programs, struct inputs *ret, struct aptsources *sources, struct ssi_err *e);
/* Where this host's static busybox is; allocated. */
int inputs_busybox(char **ret, struct ssi_err *e);
