/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Which of this project's installed files go into an image: the one list, by the image's 'programs'. */
#include "libssi/base/err.h"
#include "mkimage/list.h"

#define PROGRAMS_INIT "usr/sbin/ssi-init"
/* What ssi-init runs besides, in the initramfs and in the image. */
#define PROGRAMS_INIT_HELPERS "usr/libexec/ssi/init-*"
/* What the dracut module puts in the place of OpenSSL, and what iscsistart is run with. */
#define PROGRAMS_INIT_LIBRARIES "usr/libexec/ssi/lib*.so"
#define PROGRAMS_DRACUT "usr/lib/dracut/modules.d/90ssi"

/* Paths relative to root of the files there are, sorted; what ("node", "master", "none") must be one of those words. A file that the
 * image cannot do without and that is not there: -ENOENT. The caller frees the list. */
int programs_find(const char *root, const char *what, struct list *ret, struct ssi_err *e);
/* Copy them into tree, owned by root, parents made. */
int programs_copy(const char *root, const struct list *files, const char *tree, struct ssi_err *e);
