/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* ssi-init typed by a person: reboot, poweroff. Also as programs of those names (links). Returns the exit status. */
int verb_main(int argc, char **argv);
