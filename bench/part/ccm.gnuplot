# SPDX-License-Identifier: GPL-2.0-or-later
# Time over message size, all ways of an experiment in one graph. Given: csv, heading, ways (separated by blanks), svg.
set terminal svg size 800,520 font 'sans,13' background rgb 'white'
set output svg
set datafile separator ','
set datafile missing NaN
set title heading
set xlabel 'bytes'
set ylabel 'µs, median'
set logscale x 2
set logscale y 10
set xtics ('1' 1, '8' 8, '64' 64, '512' 512, '4 Ki' 4096, '32 Ki' 32768, '256 Ki' 262144, '1 Mi' 1048576)
set grid
set key left top
plot for [i=1:words(ways)] csv using (strcol(2) eq word(ways, i) ? $3 : NaN):5 with linespoints pointtype 4 + i linewidth 1.5 title word(ways, i)
