/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Who holds a file with flock(2): the sign that a generation is in use. */
#include <stdbool.h>
#include "libssi/base/err.h"

bool holder_is_held(const char *path);
/* The exclusive lock: a descriptor that holds it, or -EBUSY with the holders' names in e ("ssi-bootsvc (pid 812)"); -ENOENT. */
int holder_take(const char *path, struct ssi_err *e);
