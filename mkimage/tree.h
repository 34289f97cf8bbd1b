/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Questions to an unpacked tree, and removals in it that never follow a link. */
#include <stdint.h>
#include "libssi/base/err.h"
#include "mkimage/list.h"

/* The version of its kernel: the one folder in usr/lib/modules or lib/modules. */
int tree_kernel(const char *tree, char *ret, size_t n, struct ssi_err *e);
/* The path of lib/modules/VERSION and of the kernel image; allocated. */
char *tree_modules(const char *tree, const char *kernel);
int tree_vmlinuz(const char *tree, const char *kernel, char **ret, struct ssi_err *e);
/* The newest regular file's time, in seconds, of those not newer than limit (0 = no limit). */
int tree_epoch(const char *tree, int64_t limit, int64_t *ret, struct ssi_err *e);
/* The first of names that is no module of this kernel, built in or not, or NULL; '-' and '_' are the same in them, "=..." is passed over. */
int tree_missing_module(const char *modules, const struct list *names, const struct list_word **ret, struct ssi_err *e);
/* Remove what matches a glob(7) pattern below dir; a link on the way is not followed. How many. */
int tree_remove(const char *dir, const char *pattern, struct ssi_err *e);
/* Packages of a Debian tree as "NAME VERSION", sorted; empty when it has none. */
int tree_packages(const char *tree, struct list *ret, struct ssi_err *e);
/* Give every account's password the same day of its last change, so that the day of the build does not show. */
int tree_password_days(const char *tree, int64_t epoch, struct ssi_err *e);
