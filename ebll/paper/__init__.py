"""The paper's own experiments: AlexNet on ImageNet, Flowers, Birds and Scenes, ready to run where the data is.

    ebll.paper.paper("data/", experiments=["flowers-birds"])   # ebll paper --root data/ --experiment flowers-birds
    ebll.paper.load_photos("flowers", "data/")                 # a photo set, or a folder of your own, as a task
    ebll.paper.load_backbone("resnet18@layer3").network()      # a pretrained network, cut into F, T and a head

The losses, the loop, the record and the tables are those of the small experiments. The photo sets are not part of ebll;
`docs/paper-scale.md` says where each comes from.
"""

import lazy_loader

# The public names stand in __init__.pyi: `ebll paper --help` reads settings, and does not wait for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
