"""What a shape costs on a device: profiles, time as a cost, measuring."""

from keras_growprune.devices.device_profile import DeviceProfile
from keras_growprune.devices.latency_cost import LatencyCost
from keras_growprune.devices.layer_work import LayerWork
from keras_growprune.devices.layer_work import work_of
from keras_growprune.devices.measurement import sample_networks
from keras_growprune.devices.measurement import time_files
from keras_growprune.devices.measurement import time_models
from keras_growprune.devices.runtimes import litert_file

__all__ = [
    "DeviceProfile",
    "LatencyCost",
    "LayerWork",
    "litert_file",
    "sample_networks",
    "time_files",
    "time_models",
    "work_of",
]
