# Runs in the repository @fonts, over the unpacked packages.
mv usr/share/fonts/truetype/wqy/wqy-microhei.ttc usr/share/doc/fonts-wqy-microhei/copyright .
rm -rf usr etc
