/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The root watch: says on the console and as an event when the root no longer answers, and when it is back. */
#include "libssi/model/bootargs.h"

/* Does not return: a process of its own, for as long as the node runs. */
void watch_run(const struct ssi_bootargs *a) __attribute__((noreturn));
