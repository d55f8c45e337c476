# Runs in the repository @fonts, after the packages were unpacked.
mv usr/share/fonts/truetype/wqy/wqy-microhei.ttc usr/share/doc/fonts-wqy-microhei/copyright .
rm -rf usr etc
