/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The interface that the firmware booted from, with its address, up and with a carrier. */
#include "libssi/model/bootargs.h"

/* Runs in a stage's child; may be called again after a failure. Waits for the interface to appear and for its carrier by netlink
 * events. -ENODEV: no interface has this address, and which there are; -ENETDOWN: no carrier. */
int network_up(const struct ssi_bootargs *a, struct ssi_err *e);
