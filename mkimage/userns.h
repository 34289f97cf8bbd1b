/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * An ordinary user who unpacks a tree with root's and daemons' files in it: a user namespace in which the user is root and the ids of
 * /etc/subuid are the others, with a mount namespace (user_namespaces(7), newuidmap(1)).
 */
#include "libssi/base/err.h"

/* Move this process into such a namespace, for good; nothing happens for root. It must have one thread only. -EPERM with what is missing in e. */
int userns_enter(struct ssi_err *e);
