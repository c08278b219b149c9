"""Workflows on a worker without a version: a server refuses what a workflow says about versions from such a worker."""

import dataclasses

from temporalio.common import VersioningBehavior
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails


class UnversionedRunner(UnsandboxedWorkflowRunner):
    """What the sandbox runs a workflow with."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        silent = dataclasses.replace(det.defn, versioning_behavior=VersioningBehavior.UNSPECIFIED)
        return super().create_instance(dataclasses.replace(det, defn=silent))
