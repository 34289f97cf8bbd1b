/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What a value of a recipe may be: checks for the table of keys. Each is -EINVAL with the reason in e, or 0. */
#include "libssi/base/err.h"

int recipe_check_suite(const char *v, struct ssi_err *e);
int recipe_check_mirror(const char *v, struct ssi_err *e);
int recipe_check_package(const char *v, struct ssi_err *e);
int recipe_check_packages(const char *v, struct ssi_err *e);
int recipe_check_folder(const char *v, struct ssi_err *e);
int recipe_check_inside(const char *v, struct ssi_err *e);     /* paths below the tree */
int recipe_check_modules(const char *v, struct ssi_err *e);
int recipe_check_drivers(const char *v, struct ssi_err *e);
int recipe_check_units(const char *v, struct ssi_err *e);
